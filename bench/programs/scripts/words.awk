# words.awk - counts words and pairs of words; prints the totals and the words
# that occur most, in an order that does not depend on awk's own.
{
    for (i = 1; i <= NF; ++i) {
        ++count[$i]
        if (i > 1) ++pair[$(i - 1) " " $i]
        line = line substr($i, 1, 1)
    }
    if (length(line) > 500) line = substr(line, 250)
}
END {
    for (word in count) { ++words; if (count[word] > most || (count[word] == most && word < best)) { most = count[word]; best = word } }
    for (two in pair) { ++pairs; total += pair[two] }
    print words, pairs, total, best, most, length(line)
}
