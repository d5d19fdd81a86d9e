// size_classes.gen.hpp - the sizes small objects are rounded up to.
//
// Written by gen/size_classes.cpp. To change it: cmake --build build -t regen
//
// A span of `span` bytes is cut into `objects` objects; `tail waste` bytes are left
// at its end. `worst waste` is what a span full of the smallest objects of its class
// loses, rounding and tail together.
//
// class   object      span   objects   tail waste   worst waste
//     1      8 B     8 KiB      1024          0 B        87.50%
//     2     16 B     8 KiB       512          0 B        43.75%
//     3     24 B     8 KiB       341          8 B        29.24%
//     4     32 B     8 KiB       256          0 B        21.88%
//     5     48 B     8 KiB       170         32 B        31.52%
//     6     64 B     8 KiB       128          0 B        23.44%
//     7     80 B     8 KiB       102         32 B        19.07%
//     8     96 B     8 KiB        85         32 B        15.95%
//     9    112 B     8 KiB        73         16 B        13.56%
//    10    128 B     8 KiB        64          0 B        11.72%
//    11    144 B     8 KiB        56        128 B        11.82%
//    12    160 B     8 KiB        51         32 B         9.73%
//    13    176 B     8 KiB        46         96 B         9.59%
//    14    192 B     8 KiB        42        128 B         9.25%
//    15    208 B     8 KiB        39         80 B         8.12%
//    16    224 B     8 KiB        36        128 B         8.15%
//    17    240 B     8 KiB        34         32 B         6.62%
//    18    256 B     8 KiB        32          0 B         5.86%
//    19    288 B     8 KiB        28        128 B        12.16%
//    20    320 B     8 KiB        25        192 B        11.80%
//    21    352 B     8 KiB        23         96 B         9.88%
//    22    384 B     8 KiB        21        128 B         9.51%
//    23    416 B     8 KiB        19        288 B        10.71%
//    24    448 B     8 KiB        18        128 B         8.37%
//    25    480 B     8 KiB        17         32 B         6.82%
//    26    512 B     8 KiB        16          0 B         6.05%
//    27    576 B     8 KiB        14        128 B        12.33%
//    28    640 B     8 KiB        12        512 B        15.48%
//    29    704 B     8 KiB        11        448 B        13.93%
//    30    768 B     8 KiB        10        512 B        13.94%
//    31    896 B     8 KiB         9        128 B        15.52%
//    32   1024 B     8 KiB         8          0 B        12.40%
//    33   1152 B     8 KiB         7        128 B        12.41%
//    34   1280 B     8 KiB         6        512 B        15.55%
//    35   1408 B    16 KiB        11        896 B        14.00%
//    36   1536 B     8 KiB         5        512 B        14.00%
//    37   1792 B    16 KiB         9        256 B        15.57%
//    38   2048 B     8 KiB         4          0 B        12.45%
//    39   2304 B    16 KiB         7        256 B        12.46%
//    40   2688 B     8 KiB         3        128 B        15.59%
//    41   3072 B    24 KiB         8          0 B        12.47%
//    42   3200 B    16 KiB         5        384 B         6.22%
//    43   3456 B    24 KiB         7        384 B         8.83%
//    44   4096 B     8 KiB         2          0 B        15.60%
//    45   4864 B    24 KiB         5        256 B        16.65%
//    46   5376 B    16 KiB         3        256 B        10.92%
//    47   6144 B    24 KiB         4          0 B        12.48%
//    48   6528 B    32 KiB         5        128 B         6.23%
//    49   6784 B    40 KiB         6        256 B         4.36%
//    50   6912 B    48 KiB         7        768 B         3.37%
//    51   8192 B     8 KiB         1          0 B        15.61%
//    52   9472 B    56 KiB         6        512 B        14.28%
//    53   9728 B    48 KiB         5        512 B         3.64%
//    54  10240 B    40 KiB         4          0 B         4.99%
//    55  10880 B    32 KiB         3        128 B         6.24%
//    56  12288 B    24 KiB         2          0 B        11.45%
//    57  13568 B    40 KiB         3        256 B         9.99%
//    58  14336 B    56 KiB         4          0 B         5.35%
//    59  16384 B    16 KiB         1          0 B        12.49%
//    60  18432 B    72 KiB         4          0 B        11.11%
//    61  19072 B    56 KiB         3        128 B         3.57%
//    62  20480 B    40 KiB         2          0 B         6.87%
//    63  21760 B    64 KiB         3        256 B         6.25%
//    64  24576 B    24 KiB         1          0 B        11.45%
//    65  27264 B    80 KiB         3        128 B        10.00%
//    66  28672 B    56 KiB         2          0 B         4.91%
//    67  32768 B    32 KiB         1          0 B        12.50%

#pragma once

#include <cstddef>
#include <cstdint>

namespace steady {

// clang-format off

inline constexpr std::size_t class_count = 68;         // class 0 is for large objects
inline constexpr std::size_t max_small_size = 32768;  // larger ones get spans of their own

inline constexpr std::uint16_t class_size[68] = {
        0,     8,    16,    24,    32,    48,    64,    80,    96,   112,   128,   144,
      160,   176,   192,   208,   224,   240,   256,   288,   320,   352,   384,   416,
      448,   480,   512,   576,   640,   704,   768,   896,  1024,  1152,  1280,  1408,
     1536,  1792,  2048,  2304,  2688,  3072,  3200,  3456,  4096,  4864,  5376,  6144,
     6528,  6784,  6912,  8192,  9472,  9728, 10240, 10880, 12288, 13568, 14336, 16384,
    18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768,
};
inline constexpr std::uint8_t class_pages[68] = {
     0,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  2,  1,  2,  1,  2,
     1,  3,  2,  3,  1,  3,  2,  3,  4,  5,  6,  1,  7,  6,  5,  4,  3,  5,  7,  2,
     9,  7,  5,  8,  3, 10,  7,  4,
};
inline constexpr std::uint16_t class_objects[68] = {
       0, 1024,  512,  341,  256,  170,  128,  102,   85,   73,   64,   56,   51,   46,   42,   39,
      36,   34,   32,   28,   25,   23,   21,   19,   18,   17,   16,   14,   12,   11,   10,    9,
       8,    7,    6,   11,    5,    9,    4,    7,    3,    8,    5,    7,    2,    5,    3,    4,
       5,    6,    7,    1,    6,    5,    4,    3,    2,    3,    4,    1,    4,    3,    2,    3,
       1,    3,    2,    1,
};
// ceil(2^32 / size): object = offset * divmul >> 32, tried for every offset.
inline constexpr std::uint32_t class_divmul[68] = {
            0, 536870912, 268435456, 178956971, 134217728,  89478486,  67108864,  53687092,
     44739243,  38347923,  33554432,  29826162,  26843546,  24403224,  22369622,  20648882,
     19173962,  17895698,  16777216,  14913081,  13421773,  12201612,  11184811,  10324441,
      9586981,   8947849,   8388608,   7456541,   6710887,   6100806,   5592406,   4793491,
      4194304,   3728271,   3355444,   3050403,   2796203,   2396746,   2097152,   1864136,
      1597831,   1398102,   1342178,   1242757,   1048576,    883012,    798916,    699051,
       657931,    633103,    621379,    524288,    453439,    441506,    419431,    394759,
       349526,    316552,    299594,    262144,    233017,    225198,    209716,    197380,
       174763,    157533,    149797,    131072,
};
// Index (size + 7) / 8, for sizes up to 1024.
inline constexpr std::uint8_t size_to_class8[129] = {
     0,  1,  2,  3,  4,  5,  5,  6,  6,  7,  7,  8,  8,  9,  9, 10, 10, 11, 11, 12,
    12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 17, 18, 18, 19, 19, 19, 19, 20, 20, 20,
    20, 21, 21, 21, 21, 22, 22, 22, 22, 23, 23, 23, 23, 24, 24, 24, 24, 25, 25, 25,
    25, 26, 26, 26, 26, 27, 27, 27, 27, 27, 27, 27, 27, 28, 28, 28, 28, 28, 28, 28,
    28, 29, 29, 29, 29, 29, 29, 29, 29, 30, 30, 30, 30, 30, 30, 30, 30, 31, 31, 31,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32,
};
// The same where 9 bytes and more are aligned to 16: class 3 (24 B) is left out.
inline constexpr std::uint8_t malloc_class8[129] = {
     0,  1,  2,  4,  4,  5,  5,  6,  6,  7,  7,  8,  8,  9,  9, 10, 10, 11, 11, 12,
    12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 17, 18, 18, 19, 19, 19, 19, 20, 20, 20,
    20, 21, 21, 21, 21, 22, 22, 22, 22, 23, 23, 23, 23, 24, 24, 24, 24, 25, 25, 25,
    25, 26, 26, 26, 26, 27, 27, 27, 27, 27, 27, 27, 27, 28, 28, 28, 28, 28, 28, 28,
    28, 29, 29, 29, 29, 29, 29, 29, 29, 30, 30, 30, 30, 30, 30, 30, 30, 31, 31, 31,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32,
};
// Index (size - 1024 + 127) / 128, for larger ones.
inline constexpr std::uint8_t size_to_class128[249] = {
    32, 33, 34, 35, 36, 37, 37, 38, 38, 39, 39, 40, 40, 40, 41, 41, 41, 42, 43, 43,
    44, 44, 44, 44, 44, 45, 45, 45, 45, 45, 45, 46, 46, 46, 46, 47, 47, 47, 47, 47,
    47, 48, 48, 48, 49, 49, 50, 51, 51, 51, 51, 51, 51, 51, 51, 51, 51, 52, 52, 52,
    52, 52, 52, 52, 52, 52, 52, 53, 53, 54, 54, 54, 54, 55, 55, 55, 55, 55, 56, 56,
    56, 56, 56, 56, 56, 56, 56, 56, 56, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 58,
    58, 58, 58, 58, 58, 59, 59, 59, 59, 59, 59, 59, 59, 59, 59, 59, 59, 59, 59, 59,
    59, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 61, 61, 61,
    61, 61, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 63, 63, 63, 63, 63, 63, 63,
    63, 63, 63, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65,
    65, 65, 65, 65, 65, 65, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 66, 67, 67, 67,
    67, 67, 67, 67, 67, 67, 67, 67, 67, 67, 67, 67, 67, 67, 67, 67, 67, 67, 67, 67,
    67, 67, 67, 67, 67, 67, 67, 67, 67,
};

// clang-format on

/// The class of objects of `size` bytes, as Go chooses it: objects of 24 bytes
/// exist, aligned to 8.
///
/// Returns    1..67, or 0 for size 0. size <= max_small_size.
[[nodiscard]] constexpr unsigned size_class_of(std::size_t size) noexcept {
    return size <= 1024 - 8 ? size_to_class8[(size + 7) / 8]
                            : size_to_class128[(size - 1024 + 127) / 128];
}

/// The class for malloc, which aligns everything above 8 bytes to 16: 17..32 bytes
/// become 32.
///
/// Returns    1..67, or 0 for size 0. size <= max_small_size.
[[nodiscard]] constexpr unsigned malloc_class_of(std::size_t size) noexcept {
    return size <= 1024 - 8 ? malloc_class8[(size + 7) / 8]
                            : size_to_class128[(size - 1024 + 127) / 128];
}

/// The object an offset into a span lies in, without a division. Exact for every
/// offset of the class's span.
[[nodiscard]] constexpr std::size_t object_index(std::size_t offset, unsigned size_class) noexcept {
    return static_cast<std::size_t>(static_cast<std::uint64_t>(offset) * class_divmul[size_class] >>
                                    32);
}

/// What an allocation of `size` bytes occupies: Go's roundupsize. Large sizes
/// become whole pages; one so large that it would wrap stays as it is.
[[nodiscard]] constexpr std::size_t round_up_size(std::size_t size) noexcept {
    if (size <= max_small_size) return class_size[size_class_of(size)];
    const std::size_t pages_end = size + 8191;
    return pages_end < size ? size : pages_end & ~std::size_t{8191};
}

static_assert(class_size[class_count - 1] == max_small_size, "the last class ends small objects");
static_assert(class_size[malloc_class8[24 / 8]] == 32, "malloc(24) is aligned to 16");
static_assert(round_up_size(1025) == 1152 && round_up_size(32769) == 40960, "Go's roundupsize");

}  // namespace steady
