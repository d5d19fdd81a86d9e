// model.cpp - what 16 and more cores would do, on paper: a simulation of cache lines that
// travel between processors.
//
//   bench_concurrent_model [LOCAL_NS] [TRANSFER_NS] [ENTRIES]
//
// The model. Each thread has a processor. An operation is LOCAL_NS of work that needs nobody,
// and touches lines. A line is owned by the processor that wrote it last, or shared by some
// that read it. Reading a line that another one wrote costs one transfer, reading it again
// nothing; writing a line of which anybody else has a copy costs one transfer, during which
// nobody else gets it: they queue. Nothing else costs anything, so the figures are an upper
// bound: no limit of memory bandwidth, no sockets, no preemption.
//
//   steady    find: reads directory entry, group.           assign: writes the group's line
//   shards    find and assign write the lock of one of 64 shards, and touch the entry's line
//   hot       steady, with the most frequent 16 keys in striped cells of their own
//
// LOCAL_NS and TRANSFER_NS are what the machine at hand measures for one thread and for two.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <queue>
#include <random>
#include <utility>
#include <vector>

namespace {

double local_ns = 12, transfer_ns = 60;

struct line {
    double free_at = 0;
    std::uint64_t copies = 0;  // processors that have it
};

/// When the access that begins at `now` is over.
double read(line& l, unsigned me, double now) {
    if (l.copies >> me & 1) return now;
    const double start = std::max(now, l.free_at);
    l.copies |= std::uint64_t{1} << me;
    return start + transfer_ns;  // readers do not queue behind each other
}
double write(line& l, unsigned me, double now) {
    const double start = std::max(now, l.free_at);
    const bool mine = l.copies == std::uint64_t{1} << me;
    l.copies = std::uint64_t{1} << me;
    return l.free_at = start + (mine ? 2 : transfer_ns);
}

enum class design { steady, shards, hot };

double simulate(design d, unsigned threads, std::size_t entries, bool zipf,
                unsigned find_per_cent) {
    std::mt19937_64 random(1);
    std::vector<double> cumulative;
    if (zipf) {
        double sum = 0;
        for (std::size_t i = 1; i <= std::min<std::size_t>(entries, 1 << 16); ++i) {
            cumulative.push_back(sum += 1 / std::pow(static_cast<double>(i), 0.99));
        }
    }
    const auto draw = [&]() -> std::size_t {
        if (!zipf) return random() % entries;
        const double u = std::uniform_real_distribution<double>(0, cumulative.back())(random);
        return static_cast<std::size_t>(std::lower_bound(cumulative.begin(), cumulative.end(), u) -
                                        cumulative.begin());
    };
    std::vector<line> lines(entries), locks(64), cells(16 * 64);
    using event = std::pair<double, unsigned>;
    std::priority_queue<event, std::vector<event>, std::greater<>> next;
    for (unsigned t = 0; t < threads; ++t) next.emplace(0.1 * t, t);
    constexpr std::uint64_t operations = 40'000;
    double now = 0;
    for (std::uint64_t n = 0; n < operations * std::min(threads, 8u); ++n) {
        const auto [at, me] = next.top();
        next.pop();
        now = at;
        const std::size_t key = draw();
        const bool find = random() % 100 < find_per_cent;
        double t = at + local_ns;
        // Ranks are scattered over the map: a line holds one frequent key at most.
        line& its = lines[key * 2654435761u % entries];
        switch (d) {
            case design::steady: t = find ? read(its, me, t) : write(its, me, t); break;
            case design::shards:
                t = write(locks[key * 40503 >> 6 & 63], me, t);
                t = find ? read(its, me, t) : write(its, me, t);
                locks[key * 40503 >> 6 & 63].free_at = t + 2;  // held until the end
                break;
            case design::hot:
                if (zipf && key < 16 && !find) {
                    t = write(cells[key * 64 + me], me, t);
                } else if (zipf && key < 16) {
                    for (unsigned s = 0; s < std::min(threads, 16u); ++s) {
                        t = std::max(t, read(cells[key * 64 + s], me, t));
                    }
                } else {
                    t = find ? read(its, me, t) : write(its, me, t);
                }
                break;
        }
        next.emplace(t, me);
    }
    return static_cast<double>(operations * std::min(threads, 8u)) / now * 1e3;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) local_ns = std::atof(argv[1]);
    if (argc > 2) transfer_ns = std::atof(argv[2]);
    const std::size_t entries = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 100'000;
    std::printf("model: %.0f ns local, %.0f ns a transfer, %zu lines; Mop/s\n", local_ns,
                transfer_ns, entries);
    struct mix {
        const char* name;
        bool zipf;
        unsigned find;
    };
    for (const mix m :
         {mix{"C zipf", true, 100}, mix{"B zipf", true, 95}, mix{"A uniform", false, 50},
          mix{"A zipf", true, 50}, mix{"writes only, zipf", true, 0}}) {
        std::printf("%-18s threads", m.name);
        for (unsigned t = 1; t <= 64; t *= 2) std::printf(" %8u", t);
        for (const auto& [name, d] :
             {std::pair{"steady", design::steady}, std::pair{"64 shards", design::shards},
              std::pair{"hot cells", design::hot}}) {
            std::printf("\n  %-24s", name);
            for (unsigned t = 1; t <= 64; t *= 2) {
                std::printf(" %8.1f", simulate(d, t, entries, m.zipf, m.find));
            }
        }
        std::printf("\n");
    }
}
