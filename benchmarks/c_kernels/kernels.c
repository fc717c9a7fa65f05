/* Three ways to sum the +-1 weights of the inputs that spike, on a Cortex-M4: instructions of each, by rate. See benchmarks/c.py.
 *
 * event     each spike adds its row of weights, a byte of bits after the other, to sums of 16 bits
 * sliced    eight rows of spikes at a time are added, 32 weights at once, to counters whose bits are in words of their own; then counters become sums
 * popcount  every output counts the bits that its weights and all inputs have in common, 32 inputs at once
 */
#include "host.h"

#define ROW ((OUTPUTS + 7) / 8)
#define WORDS ((OUTPUTS + 31) / 32)
#define PACKED ((INPUTS + 31) / 32)

static uint8_t spikes[INPUTS], rows[INPUTS][8 * ((ROW + 7) / 8)];
#define BLOCK (WORDS % 2 == 0 ? 2 : 1)

static uint32_t words[INPUTS][WORDS], columns[OUTPUTS][PACKED], packed[PACKED];
static int16_t sums[3][8 * ROW];

static uint32_t random32(void)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    return x ^= x << 5;
}

static void event(int16_t *out)
{
    for (size_t o = 0; o < OUTPUTS; o++)
        out[o] = 0;
    for (size_t i = 0; i < INPUTS; i++) {
        if (spikes[i] == 0)
            continue;
        const uint8_t *bits = rows[i];
        for (size_t o = 0; o < 8 * ROW; o += 8, bits++) {
            out[o] = (int16_t)(out[o] + ((*bits & 1) != 0 ? 1 : -1));
            out[o + 1] = (int16_t)(out[o + 1] + ((*bits & 2) != 0 ? 1 : -1));
            out[o + 2] = (int16_t)(out[o + 2] + ((*bits & 4) != 0 ? 1 : -1));
            out[o + 3] = (int16_t)(out[o + 3] + ((*bits & 8) != 0 ? 1 : -1));
            out[o + 4] = (int16_t)(out[o + 4] + ((*bits & 16) != 0 ? 1 : -1));
            out[o + 5] = (int16_t)(out[o + 5] + ((*bits & 32) != 0 ? 1 : -1));
            out[o + 6] = (int16_t)(out[o + 6] + ((*bits & 64) != 0 ? 1 : -1));
            out[o + 7] = (int16_t)(out[o + 7] + ((*bits & 128) != 0 ? 1 : -1));
        }
    }
}

static void pack(void)
{
    for (size_t w = 0; w < PACKED; w++)
        packed[w] = 0;
    for (size_t i = 0;; i++) {
        while (i < INPUTS && spikes[i] == 0)
            i++;
        if (i == INPUTS)
            break;
        packed[i / 32] |= (uint32_t)1 << i % 32;
    }
}

static inline uint32_t add_bits(uint32_t *a, uint32_t b, uint32_t c)
{
    const uint32_t both = *a & b, either = *a ^ b;
    *a = either ^ c;
    return both | (either & c);
}

static void add_rows(uint32_t *counts, const uint32_t *waiting)
{
    uint32_t ones = counts[0], twos = counts[1], fours = counts[2];
    uint32_t a = add_bits(&ones, waiting[0], waiting[1]), b = add_bits(&ones, waiting[2], waiting[3]);
    const uint32_t c = add_bits(&twos, a, b);
    a = add_bits(&ones, waiting[4], waiting[5]);
    b = add_bits(&ones, waiting[6], waiting[7]);
    uint32_t carry = add_bits(&twos, a, b);
    carry = add_bits(&fours, c, carry);
    counts[0] = ones;
    counts[1] = twos;
    counts[2] = fours;
    for (counts += 3; carry != 0; counts++) {
        const uint32_t both = *counts & carry;
        *counts ^= carry;
        carry = both;
    }
}

static void exchange(uint32_t *x, size_t step, uint32_t mask)
{
    for (size_t k = 0; k < 8; k = ((k | step) + 1) & ~step) {
        const uint32_t differ = (x[k] >> step ^ x[k + step]) & mask;
        x[k] ^= differ * ((uint32_t)1 << step);
        x[k + step] ^= differ;
    }
}

static inline size_t lowest(uint32_t word)
{
    static const uint8_t places[32] = {
        0, 1, 28, 2, 29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4, 8, 31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6, 11, 5, 10, 9
    };
    return places[((word & (0 - word)) * 0x077cb531) >> 27];
}

static void sliced(int16_t *out)
{
    pack();
    for (size_t first = 0; first < WORDS; first += BLOCK) {
        uint32_t waiting[BLOCK][8], counts[BLOCK][16] = {{0}}, total = 0;
        for (size_t w = 0; w < PACKED; w++)
            for (uint32_t left = packed[w]; left != 0; left &= left - 1) {
                const uint32_t *const row = words[32 * w + lowest(left)] + first;
                waiting[0][total % 8] = row[0];
                if (BLOCK == 2)
                    waiting[BLOCK - 1][total % 8] = row[BLOCK - 1];
                if (++total % 8 == 0)
                    for (size_t b = 0; b < BLOCK; b++)
                        add_rows(counts[b], waiting[b]);
            }
        for (size_t b = 0; b < BLOCK; b++) {
            for (size_t row = total % 8; row < 8; row++)
                waiting[b][row] = 0;
            add_rows(counts[b], waiting[b]);
            for (size_t byte = 0; byte < 2 && total >> (8 * byte) != 0; byte++) {
                uint32_t *const x = counts[b] + 8 * byte;
                exchange(x, 4, 0x0f0f0f0f);
                exchange(x, 2, 0x33333333);
                exchange(x, 1, 0x55555555);
            }
            for (size_t k = 0; k < 32 && 32 * (first + b) + k < OUTPUTS; k++) {
                const uint32_t low = counts[b][k % 8] >> (k / 8 * 8) & 255, high = counts[b][k % 8 + 8] >> (k / 8 * 8) & 255;
                out[32 * (first + b) + k] = (int16_t)(2 * (int)(low + 256 * high) - (int)total);
            }
        }
    }
}

static void popcount(int16_t *out)
{
    int total = 0;
    for (size_t w = 0; w < PACKED; w++)
        packed[w] = 0;
    for (size_t i = 0; i < INPUTS; i++) {
        packed[i / 32] |= (uint32_t)spikes[i] << (i % 32);
        total += spikes[i];
    }
    for (size_t o = 0; o < OUTPUTS; o++) {
        uint32_t count = 0;
        for (size_t w = 0; w < PACKED; w++) {
            uint32_t x = columns[o][w] & packed[w];
            x -= (x >> 1) & 0x55555555u;
            x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
            count += (((x + (x >> 4)) & 0x0f0f0f0fu) * 0x01010101u) >> 24;
        }
        out[o] = (int16_t)(2 * (int)count - total);
    }
}

static void print(uint64_t value, const char *after)
{
    char digits[24], *at = digits + sizeof digits - 1;
    *at = '\0';
    do
        *--at = (char)('0' + (char)(value % 10));
    while ((value /= 10) > 0);
    host_print(at, 0);
    host_print(after, 0);
}

int lehr_main(int argc, char **argv)
{
    static void (*const kernels[])(int16_t *) = {event, sliced, popcount};
    static const uint32_t per_mille[] = {RATES};
    (void)argc, (void)argv;
    for (size_t i = 0; i < INPUTS; i++)
        for (size_t o = 0; o < OUTPUTS; o++) {
            const uint32_t bit = random32() & 1;
            rows[i][o / 8] = (uint8_t)(rows[i][o / 8] | bit << (o % 8));
            words[i][o / 32] |= bit << (o % 32);
            columns[o][i / 32] |= bit << (i % 32);
        }
    for (size_t r = 0; r < sizeof per_mille / sizeof per_mille[0]; r++) {
        for (size_t i = 0; i < INPUTS; i++)
            spikes[i] = random32() % 1000 < per_mille[r];
        print(per_mille[r], "");
        for (size_t k = 0; k < 3; k++) {
            host_start();
            kernels[k](sums[k]);
            host_print(" ", 0);
            print(host_stop(), "");
            for (size_t o = 0; o < OUTPUTS; o++)
                if (sums[k][o] != sums[0][o]) {
                    host_print(" differs\n", 0);
                    return 1;
                }
        }
        host_print("\n", 0);
    }
    return 0;
}
