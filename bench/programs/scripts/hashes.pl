# hashes.pl COUNT - what perl programs do: hashes of strings, a regular expression
# over each, sorting, joining. Prints figures that depend on COUNT alone.
use strict;
use warnings;

my $count = shift // 300_000;
my $state = 12345;
sub draw { $state = ($state * 1103515245 + 12345) & 0x7fffffff; return $state >> 8 }

my (%words, @lines);
for my $i (1 .. $count) {
    my $word = join '', map { chr(97 + draw() % 26) } 1 .. 3 + draw() % 8;
    $words{$word}{count}++;
    push @{ $words{$word}{at} }, $i;
    push @lines, "$i:$word=" . ('x' x (draw() % 60)) if $i % 3 == 0;
}
my ($matched, $length) = (0, 0);
for my $line (@lines) {
    if ($line =~ /^(\d+):([a-m]\w*)=(x{10,40})$/) { $matched++; $length += length $3 }
    (my $changed = $line) =~ s/([aeiou])/<$1>/g;
    $length += length $changed;
}
delete @words{ grep { length($_) % 2 } keys %words };
my @sorted = sort { $words{$b}{count} <=> $words{$a}{count} || $a cmp $b } keys %words;
my $all = join ',', map { "$_=" . scalar @{ $words{$_}{at} } } @sorted;
printf "%d words left, %d matched, %d characters, %d joined, first %s, last %s\n",
    scalar @sorted, $matched, $length, length $all, $sorted[0], $sorted[-1];
