// The convolutions' forward and backward pass for many replicas at once, on NVIDIA's matrix units.
//
// Compiled for one width. A block takes a few images of one replica through a layer or two, and
// keeps their activations on chip; blocks share nothing, and sums have a fixed order, so that a
// replica's result is the same to the bit alone or beside others.
//
// Products are of float16, which has TF32's mantissa of 10 bits, with float32 sums. Weights, their
// gradients and what the linear layers see are float32. Gradients of activations are scaled by a
// power of two, so that they are no subnormal numbers.
//
// Channels lie last, in vectors of eight (16 bytes), what a row of the matrix units' 8x8 tiles is;
// those that the width lacks are 0. A pixel takes an odd number of vectors, so that eight of them
// lie in different banks. Maps, in vectors:
//
//     copies      34 x 17, twice      an image of 4 colours, two pixels a vector; border 1. The
//                                     second copy lies a pixel to the left: a pair of pixels may
//                                     begin in any column
//     hidden1     18 x 18 x SA        after conv1, 2x2 pooling, ReLU; border 1. In a row the even
//                                     columns come first, so that eight of one parity are adjacent
//     place1      16 x 16 x SA        which corner 0..3 of the 2x2 window held the maximum, the
//     place2      8 x 8 x SB          first of equals; 4 where the ReLU stopped it
//     gradient1   16 x 16 x SA        of hidden1
//     hidden2     8 x 8 x SB          after conv2, 2x2 pooling, ReLU
//     gradient2   8 x 8 x SB          of hidden2
//     gradient3   10 x 10 x SB        of conv3's output; border 2
//
// A convolution is a product of its input's windows, whose rows are read where they lie, with a
// matrix (9 taps x inputs, outputs). Its k-th group of eight rows is one vector at one tap.

typedef unsigned char u8;
typedef unsigned int u32;

constexpr int N = WIDTH, M = 2 * WIDTH;      // outputs of conv1; of conv2 and conv3
constexpr int A = (N + 7) / 8, B = (M + 7) / 8;  // the same in vectors
constexpr int SA = A | 1, SB = B | 1;        // vectors of a pixel
constexpr int TAPS = 9, WARPS = 8, THREADS = 32 * WARPS;
constexpr int IMAGE = 34 * 17, MAP1 = 18 * 18 * SA, MAP2 = 64 * SB, FRAME3 = 100 * SB;
constexpr int STEPS2 = (TAPS * A + 1) / 2;    // of 16 inputs: conv2's; what follows,
constexpr int STEPS3 = (TAPS * B + 1) / 2;    // conv3's, and of 16 outputs of either, backwards
constexpr int WEIGHTS2 = STEPS2 * 16 * SB, WEIGHTS3 = STEPS3 * 16 * SB;
constexpr int TILES2 = TAPS * A / 2 + 1, TILES3 = TAPS * B / 2 + 1;  // of a gradient's 16 rows
constexpr int SUB = 4;                       // images whose conv3 is computed together
constexpr int CONSTANTS = 2;                 // a vector of zeros, and one of 1, 0, 0, ...

struct Images {                              // of one replica in this step
    const u8 *pixels;
    const int *draws;
    int valid;
    float low, scale;
};

#ifdef __CUDACC__                            // else tests/helpers/emulated.h
extern __shared__ uint4 shared[];

__device__ inline u32 address(const void *shared) { return __cvta_generic_to_shared(shared); }

// Four 8x8 tiles of float16; lane i gives the address of row i % 8 of tile i / 8.
__device__ inline void tiles(u32 (&t)[4], const uint4 *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(t[0]), "=r"(t[1]), "=r"(t[2]), "=r"(t[3]) : "r"(address(row)) : "memory");
}

__device__ inline void tiles_transposed(u32 (&t)[4], const uint4 *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(t[0]), "=r"(t[1]), "=r"(t[2]), "=r"(t[3]) : "r"(address(row)) : "memory");
}

// sum (16, 8) += a (16, 16) b (16, 8)
__device__ inline void product(float (&sum)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two float16, the first in the lower half.
__device__ inline u32 pair(float first, float second) {
    u32 both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
    return both;
}
#endif

__device__ inline int lane() { return threadIdx.x % 32; }
__device__ inline int warp() { return threadIdx.x / 32; }

// The pixel in hidden1's order of column x of row y, border included.
__device__ inline int pixel1(int y, int x) { return (y * 2 + x % 2) * 9 + x / 2; }

__device__ inline void fill(uint4 *to, int count) {
    for (int i = threadIdx.x; i < count; i += THREADS) to[i] = uint4{0, 0, 0, 0};
}

__device__ inline void copy(uint4 *to, const uint4 *from, int count) {
    for (int i = threadIdx.x; i < count; i += THREADS) to[i] = from[i];
}

__device__ inline void set(uint4 *map, int channel, float value) {
    reinterpret_cast<unsigned short *>(map)[channel] = pair(value, 0);
}

// This lane's two channels of a vector.
__device__ inline void put(uint4 *vector, u32 both) {
    reinterpret_cast<u32 *>(vector)[lane() % 4] = both;
}

// Of two gradients those of a maximum in this corner, else 0.
__device__ inline u32 only(u32 both, u32 places, u32 corner) {
    return ((places & 0xffff) == corner ? both & 0xffff : 0) |
           (places >> 16 == corner ? both & 0xffff0000 : 0);
}

// Of the i-th of conv3's outputs, of images one after the other: the first pixel of its window in
// hidden2, and its own in gradient3.
__device__ inline int window3(int i) { return i / 36 * 64 + i % 36 / 6 * 8 + i % 6; }
__device__ inline int pixel3(int i) { return i / 36 * 100 + (i % 36 / 6 + 2) * 10 + i % 6 + 2; }

// Images in the batch of this step: fewer in the last of an epoch.
__device__ inline int valid_images(const int *step, int images, int batch) {
    return min(batch, images - *step * batch);
}

// Both copies of image b as drawn: flipped, cropped, scaled. By the threads of whole warps.
__device__ inline void crop(uint4 *copies, const Images &images, int b, int thread, int threads) {
    int draw = images.draws[b];
    const u8 *image = images.pixels + static_cast<long long>(draw & 0x1ffff) * 3072;
    uint2 *first = reinterpret_cast<uint2 *>(copies);
    uint2 *second = reinterpret_cast<uint2 *>(copies + IMAGE);
#pragma unroll 4
    for (int i = thread; i < 1024; i += threads) {
        int y = i / 32, x = i % 32;
        int from_y = y + (draw >> 17 & 15) - 4, from_x = x + (draw >> 21 & 15) - 4;
        bool inside = from_y >= 0 && from_y < 32 && from_x >= 0 && from_x < 32;
        if (draw >> 25 & 1) from_x = 31 - from_x;
        const u8 *pixel = image + (inside ? (from_y * 32 + from_x) * 3 : 0);
        float value[3];
        for (int c = 0; c < 3; ++c) value[c] = images.low + (inside ? pixel[c] : 0) * images.scale;
        uint2 both{pair(value[0], value[1]), pair(value[2], 0)};
        first[(y + 1) * 34 + x + 1] = both;
        second[(y + 1) * 34 + x] = both;
    }
}

__device__ inline Images images_of(const u8 *pixels, const int *draws, const int *step, int images,
                                   int batch, double low, double scale) {
    return {pixels, draws + static_cast<long long>(blockIdx.y) * images + *step * batch,
            valid_images(step, images, batch), float(low), float(scale)};
}

// Bias of two channels in each of the accumulators of a window's four corners.
template <int TILES>
__device__ inline void begin(float (&sum)[4][TILES][4], const float *bias, int channels) {
#pragma unroll
    for (int j = 0; j < TILES; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            int channel = j * 8 + lane() % 4 * 2 + e % 2;
            float value = channel < channels ? bias[channel] : 0;
#pragma unroll
            for (int corner = 0; corner < 4; ++corner) sum[corner][j][e] = value;
        }
}

// The maxima of 16 windows through the ReLU, and their places: two channels each, by `store`
// (row 0..15, vector, what is in it for this lane, likewise the places).
template <int TILES, class Store>
__device__ inline void pool(const float (&sum)[4][TILES][4], Store store) {
#pragma unroll
    for (int j = 0; j < TILES; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float best[2];
            u32 place[2];
#pragma unroll
            for (int e = 0; e < 2; ++e) {
                best[e] = 0, place[e] = 4;
#pragma unroll
                for (int corner = 0; corner < 4; ++corner) {
                    float value = sum[corner][j][half * 2 + e];
                    if (value > best[e]) best[e] = value, place[e] = corner;
                }
            }
            store(lane() / 4 + half * 8, j, pair(best[0], best[1]), place[0] | place[1] << 16);
        }
}

// sums (16 rows of each of the ROWS tiles, outputs) += windows^T gradients, over 16 pixels: those
// lie at `window(pixel 0..15, group)` and `gradient(pixel)`. This warp's tiles are warp(), + 8, ...
template <int ROWS, int TILES, class Window, class Gradient>
__device__ inline void outer(float (&sum)[ROWS][TILES][4], Window window, Gradient gradient) {
    u32 b[(TILES + 1) / 2][4];
#pragma unroll
    for (int j = 0; j < TILES; j += 2)
        tiles_transposed(b[j / 2], gradient(lane() % 16) + j + lane() / 16);
#pragma unroll
    for (int t = 0; t < ROWS; ++t) {
        int group = 2 * (warp() + t * WARPS) + lane() / 8 % 2;
        u32 a[4];
        tiles_transposed(a, window(lane() % 8 + lane() / 16 * 8, group));
#pragma unroll
        for (int j = 0; j < TILES; ++j)
            product(sum[t][j], a, b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
}

// downs (16 pixels, inputs) += gradients (16 pixels, 16 outputs) weights^T, the s-th step of these
// over the outputs at all taps; the inputs are in TILES vectors.
template <int ROWS, int TILES>
__device__ inline void back(float (&down)[ROWS][TILES][4], const u32 (&gradient)[ROWS][4],
                            const uint4 *weights, const uint4 *zero, int s) {
    int group = 2 * s + lane() / 8 % 2, tap = group / B;
#pragma unroll
    for (int j = 0; j < TILES; j += 2) {
        int input = (tap * TILES + min(j + lane() / 16, TILES - 1)) * 8 + lane() % 8;
        u32 b[4];
        tiles(b, tap < TAPS ? weights + input * SB + group % B : zero);
#pragma unroll
        for (int row = 0; row < ROWS; ++row) {
            product(down[row][j], gradient[row], b[0], b[1]);
            if (j + 1 < TILES) product(down[row][j + 1], gradient[row], b[2], b[3]);
        }
    }
}

// What `outer` sums as (9, inputs, outputs), then the bias's, the row after the last tap.
template <int ROWS>
__device__ inline void store(float *partials, const float (&sum)[ROWS][B][4], int inputs,
                             int vectors, float scale) {
#pragma unroll
    for (int t = 0; t < ROWS; ++t)
#pragma unroll
        for (int j = 0; j < B; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                int row = (warp() + t * WARPS) * 16 + lane() / 4 + e / 2 * 8;
                int tap = row / 8 / vectors, input = row - tap * vectors * 8;
                int output = j * 8 + lane() % 4 * 2 + e % 2;
                if (output < M && tap < TAPS && input < inputs)
                    partials[(tap * inputs + input) * M + output] = sum[t][j][e] * scale;
                if (output < M && row == TAPS * vectors * 8)
                    partials[TAPS * inputs * M + output] = sum[t][j][e] * scale;
            }
}

// A convolution's weights (9, inputs, outputs) as float16, in rows of SB vectors for each input,
// those that are lacking 0. Grid (blocks of THREADS pairs, replicas).
__device__ inline void pack(uint4 *to, const float *from, int i, int inputs, int vectors) {
    int row = i / (SB * 4), output = i % (SB * 4) * 2, tap = row / (vectors * 8);
    int input = row - tap * vectors * 8;
    bool known = tap < TAPS && input < inputs && output < M;
    const float *weight = from + (tap * inputs + input) * M + output;
    reinterpret_cast<u32 *>(to)[i] = known ? pair(weight[0], weight[1]) : 0;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) packed(
    const float *weights, uint4 *weights2, uint4 *weights3, int total, int offset2, int offset3) {
    weights += static_cast<long long>(blockIdx.y) * total;
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < WEIGHTS2 * 4)
        pack(weights2 + static_cast<long long>(blockIdx.y) * WEIGHTS2, weights + offset2, i, N, A);
    else if (i < (WEIGHTS2 + WEIGHTS3) * 4)
        pack(weights3 + static_cast<long long>(blockIdx.y) * WEIGHTS3, weights + offset3,
             i - WEIGHTS2 * 4, M, B);
}

// conv1 and conv2, two images at a time. Grid (ceil(batch / per), replicas).
extern "C" __global__ void __launch_bounds__(THREADS, A == 1 ? 3 : 2) forward(
    const u8 *pixels, const int *draws, const int *step, const float *weights,
    const uint4 *weights2, uint4 *hidden1, uint4 *place1, uint4 *hidden2, uint4 *place2, int images,
    int batch, int total, int offset2, int per, int train, double low, double scale) {
    uint4 *const zero = shared, *const copies = zero + CONSTANTS;
    uint4 *const maps = copies + 4 * IMAGE, *const matrix = maps + 2 * MAP1;
    Images seen = images_of(pixels, draws, step, images, batch, low, scale);
    weights += static_cast<long long>(blockIdx.y) * total;
    fill(shared, CONSTANTS + 4 * IMAGE + 2 * MAP1);
    copy(matrix, weights2 + static_cast<long long>(blockIdx.y) * WEIGHTS2, WEIGHTS2);
    u32 weights1[3][A][2];                   // a row of the window: four taps of four colours
#pragma unroll
    for (int ky = 0; ky < 3; ++ky)
#pragma unroll
        for (int j = 0; j < A; ++j)
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                int kx = half * 2 + lane() % 4 / 2, c = lane() % 2 * 2, n = j * 8 + lane() / 4;
                const float *weight = weights + ((ky * 3 + kx) * 3 + c) * N + n;
                bool known = kx < 3 && n < N;
                weights1[ky][j][half] = pair(known ? weight[0] : 0, known && c < 2 ? weight[N] : 0);
            }
    const int own = warp() / 4, part = warp() % 4;  // of the two images; a quarter of it
    uint4 *const pictures = copies + own * 2 * IMAGE, *const map = maps + own * MAP1;
    const int end = min(int(blockIdx.x + 1) * per, seen.valid);
    __syncthreads();
    if (blockIdx.x * per + own < end)
        crop(pictures, seen, blockIdx.x * per + own, threadIdx.x % 128, 128);
    for (int b = blockIdx.x * per + own; b - own < end; b += 2) {
        bool there = b < end;
        long long image = static_cast<long long>(blockIdx.y) * batch + b;
        __syncthreads();
        for (int y = part * 4; there && y < part * 4 + 4; ++y) {
            float sum[4][A][4];
            begin(sum, weights + TAPS * 3 * N, N);
#pragma unroll
            for (int corner = 0; corner < 4; ++corner)
#pragma unroll
                for (int ky = 0; ky < 3; ++ky) {
                    u32 a[4];
                    tiles(a, pictures + corner % 2 * IMAGE + (2 * y + corner / 2 + ky) * 17 +
                                 lane() % 16 + lane() / 16);
#pragma unroll
                    for (int j = 0; j < A; ++j)
                        product(sum[corner][j], a, weights1[ky][j][0], weights1[ky][j][1]);
                }
            pool(sum, [&](int x, int vector, u32 best, u32 place) {
                uint4 *at = map + pixel1(y + 1, x + 1) * SA + vector;
                put(at, best);
                at = place1 + (image * 256 + y * 16 + x) * SA + vector;
                if (train) put(at, place);
            });
        }
        __syncthreads();
        if (b + 2 < end) crop(pictures, seen, b + 2, threadIdx.x % 128, 128);
        if (there && train)
            for (int i = threadIdx.x % 128; i < MAP1; i += 128) hidden1[image * MAP1 + i] = map[i];
        if (there) {
            float sum[4][B][4];
            begin(sum, weights + offset2 + TAPS * N * M, M);
            int y = part * 2 + lane() / 8 % 2, x = lane() % 8;
            for (int s = 0; s < STEPS2; ++s) {
                int group = 2 * s + lane() / 16, tap = group / A, vector = group % A;
                u32 b2[(B + 1) / 2][4];
#pragma unroll
                for (int j = 0; j < B; j += 2)
                    tiles_transposed(b2[j / 2],
                                     matrix + (16 * s + lane() % 16) * SB + j + lane() / 16);
#pragma unroll
                for (int corner = 0; corner < 4; ++corner) {
                    int row = 2 * y + corner / 2 + tap / 3, column = 2 * x + corner % 2 + tap % 3;
                    u32 a[4];
                    tiles(a, tap < TAPS ? map + pixel1(row, column) * SA + vector : zero);
#pragma unroll
                    for (int j = 0; j < B; ++j)
                        product(sum[corner][j], a, b2[j / 2][j % 2 * 2], b2[j / 2][j % 2 * 2 + 1]);
                }
            }
            pool(sum, [&](int row, int vector, u32 best, u32 place) {
                long long at = (image * 64 + part * 16 + row) * SB + vector;
                put(hidden2 + at, best);
                if (train) put(place2 + at, place);
            });
        }
    }
}

// conv3 and its ReLU, SUB images at a time. Grid (ceil(batch / per), replicas).
extern "C" __global__ void __launch_bounds__(THREADS, 3) forward3(
    const int *step, const float *weights, const uint4 *weights3, const uint4 *hidden2,
    float *hidden3, int images, int batch, int total, int offset3, int per) {
    uint4 *const zero = shared, *const maps = zero + CONSTANTS, *const matrix = maps + SUB * MAP2;
    int valid = valid_images(step, images, batch);
    const float *bias =
        weights + static_cast<long long>(blockIdx.y) * total + offset3 + TAPS * M * M;
    fill(zero, CONSTANTS);
    copy(matrix, weights3 + static_cast<long long>(blockIdx.y) * WEIGHTS3, WEIGHTS3);
    int end = min(int(blockIdx.x + 1) * per, valid);
    for (int first = blockIdx.x * per; first < end; first += SUB) {
        long long image = static_cast<long long>(blockIdx.y) * batch + first;
        int rows = min(SUB, end - first) * 36;
        __syncthreads();
        copy(maps, hidden2 + image * MAP2, min(SUB, end - first) * MAP2);
        __syncthreads();
        constexpr int HALF = (B + 1) / 2, HALVES = B > 1 ? 2 : 1;  // of the outputs
        for (int unit = warp(); unit < (rows + 15) / 16 * HALVES; unit += WARPS) {
            int row = unit / HALVES * 16 + lane() % 16, from = unit % HALVES * HALF;
            if (row >= rows) row = rows - 1;
            uint4 *const corner = maps + window3(row) * SB;
            float sum[HALF][4] = {};
            for (int s = 0; s < STEPS3; ++s) {
                int group = 2 * s + lane() / 16, tap = group / B;
                u32 a[4];
                tiles(a, tap < TAPS ? corner + (tap / 3 * 8 + tap % 3) * SB + group % B : zero);
#pragma unroll
                for (int j = 0; j < HALF; j += 2) {
                    u32 b[4];
                    int vector = min(from + j + lane() / 16, SB - 1);
                    tiles_transposed(b, matrix + (16 * s + lane() % 16) * SB + vector);
                    product(sum[j], a, b[0], b[1]);
                    if (j + 1 < HALF) product(sum[j + 1], a, b[2], b[3]);
                }
            }
#pragma unroll
            for (int j = 0; j < HALF; ++j)
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    int at = unit / HALVES * 16 + lane() / 4 + e / 2 * 8;
                    int output = (from + j) * 8 + lane() % 4 * 2 + e % 2;
                    if (at >= rows || output >= M || from + j >= B) continue;
                    float value = sum[j][e] + bias[output];
                    hidden3[(image * 36 + at) * M + output] = value > 0 ? value : 0;
                }
        }
    }
}

// From conv3's output to its weights and hidden2. Grid (chunks, replicas).
extern "C" __global__ void __launch_bounds__(THREADS, A == 1 ? 3 : 2) backward3(
    const int *step, const uint4 *weights3, const uint4 *hidden2, const float *gradient3,
    uint4 *gradient2, float *partials, int images, int batch, int total_partials,
    int offset3_partials, int chunk, double gradient_scale) {
    uint4 *const zero = shared, *const one = zero + 1, *const maps = zero + CONSTANTS;
    uint4 *const frames = maps + SUB * MAP2, *const matrix = frames + SUB * FRAME3;
    int valid = valid_images(step, images, batch);
    constexpr int PADDED = (M + 3) / 4 * 4, ROWS = (TILES3 + WARPS - 1) / WARPS;
    fill(shared, CONSTANTS + SUB * MAP2 + SUB * FRAME3);
    copy(matrix, weights3 + static_cast<long long>(blockIdx.y) * WEIGHTS3, WEIGHTS3);
    __syncthreads();
    if (threadIdx.x == 0) set(one, 0, 1);
    float sum[ROWS][B][4] = {};
    int end = min(int(blockIdx.x + 1) * chunk, valid);
    for (int first = blockIdx.x * chunk; first < end; first += SUB) {
        long long image = static_cast<long long>(blockIdx.y) * batch + first;
        int count = min(SUB, end - first), rows = count * 36;
        __syncthreads();
        copy(maps, hidden2 + image * MAP2, count * MAP2);
        for (int i = threadIdx.x; i < rows * PADDED; i += THREADS) {
            int channel = i % PADDED, row = i / PADDED;
            float value = gradient3[(image * 100 + pixel3(row)) * PADDED + channel];
            set(frames + pixel3(row) * SB, channel, value * float(gradient_scale));
        }
        __syncthreads();
        for (int tile = warp(); tile < count * 4; tile += WARPS) {
            int row = tile * 16 + lane() % 16, y = row % 64 / 8, x = row % 8;
            uint4 *const frame = frames + row / 64 * FRAME3;
            float down[1][B][4] = {};
            for (int s = 0; s < STEPS3; ++s) {
                int group = 2 * s + lane() / 16, tap = group / B;
                u32 a[1][4];
                uint4 *at = frame + ((y + 2 - tap / 3) * 10 + x + 2 - tap % 3) * SB + group % B;
                tiles(a[0], tap < TAPS ? at : zero);
                back(down, a, matrix, zero, s);
            }
#pragma unroll
            for (int j = 0; j < B; ++j)
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    long long at = (image * 64 + tile * 16 + lane() / 4 + half * 8) * SB + j;
                    put(gradient2 + at, pair(down[0][j][half * 2], down[0][j][half * 2 + 1]));
                }
        }
        for (int start = 0; start < rows; start += 16)
            outer(
                sum,
                [&](int pixel, int group) {
                    int row = start + pixel, tap = group / B;
                    uint4 *at = maps + (window3(row) + tap / 3 * 8 + tap % 3) * SB + group % B;
                    return row >= rows ? zero : tap < TAPS ? at : group == TAPS * B ? one : zero;
                },
                [&](int pixel) {
                    int row = start + pixel;
                    return row < rows ? frames + pixel3(row) * SB : frames;  // its border: zeros
                });
    }
    partials += static_cast<long long>(blockIdx.y) * total_partials + offset3_partials;
    store(partials + blockIdx.x * (TAPS * M * M + M), sum, M, B, float(1 / gradient_scale));
}

// From hidden2 through pooling and ReLU to conv2's weights and hidden1. Grid (chunks, replicas).
extern "C" __global__ void __launch_bounds__(THREADS, A == 1 ? 4 : A == 2 ? 3 : 2) backward2(
    const int *step, const uint4 *weights2, const uint4 *hidden1, const uint4 *place2,
    const uint4 *gradient2, uint4 *gradient1, float *partials, int images, int batch,
    int total_partials, int offset2_partials, int chunk, double gradient_scale) {
    constexpr int FRAME2 = 18 * 18 * SB, ROWS = (TILES2 + WARPS - 1) / WARPS;
    uint4 *const zero = shared, *const one = zero + 1, *const map = zero + CONSTANTS;
    uint4 *const frame = map + MAP1, *const matrix = frame + FRAME2;
    int valid = valid_images(step, images, batch);
    fill(shared, CONSTANTS + MAP1 + FRAME2);
    copy(matrix, weights2 + static_cast<long long>(blockIdx.y) * WEIGHTS2, WEIGHTS2);
    __syncthreads();
    if (threadIdx.x == 0) set(one, 0, 1);
    float sum[ROWS][B][4] = {};
    for (int b = blockIdx.x * chunk; b < min(int(blockIdx.x + 1) * chunk, valid); ++b) {
        long long image = static_cast<long long>(blockIdx.y) * batch + b;
        __syncthreads();
        copy(map, hidden1 + image * MAP1, MAP1);
        for (int i = threadIdx.x; i < 64 * B; i += THREADS) {
            int cell = i / B, vector = i % B;
            uint4 gradient = gradient2[image * MAP2 + cell * SB + vector];
            uint4 place = place2[image * MAP2 + cell * SB + vector];
#pragma unroll
            for (u32 corner = 0; corner < 4; ++corner) {
                int y = 2 * (cell / 8) + corner / 2 + 1, x = 2 * (cell % 8) + corner % 2 + 1;
                frame[pixel1(y, x) * SB + vector] =
                    uint4{only(gradient.x, place.x, corner), only(gradient.y, place.y, corner),
                          only(gradient.z, place.z, corner), only(gradient.w, place.w, corner)};
            }
        }
        __syncthreads();
        {
            int y = warp() * 2, x = lane() % 8 * 2 + lane() / 8 % 2;  // two rows
            float down[2][A][4] = {};
#pragma unroll 2
            for (int s = 0; s < STEPS3; ++s) {
                int group = 2 * s + lane() / 16, tap = group / B;
                u32 a[2][4];
                uint4 *at = frame + pixel1(y + 2 - tap / 3, x + 2 - tap % 3) * SB + group % B;
                tiles(a[0], tap < TAPS ? at : zero);
                tiles(a[1], tap < TAPS ? at + 18 * SB : zero);
                back(down, a, matrix, zero, s);
            }
#pragma unroll
            for (int row = 0; row < 2; ++row)
#pragma unroll
                for (int j = 0; j < A; ++j)
#pragma unroll
                    for (int half = 0; half < 2; ++half) {
                        int column = lane() / 4 * 2 + half;
                        long long at = (image * 256 + (y + row) * 16 + column) * SA + j;
                        u32 both = pair(down[row][j][half * 2], down[row][j][half * 2 + 1]);
                        put(gradient1 + at, both);
                    }
        }
        for (int y = 0; y < 16; ++y)
            outer(
                sum,
                [&](int pixel, int group) {
                    int x = pixel % 8 * 2 + pixel / 8, tap = group / A;
                    uint4 *at = map + pixel1(y + tap / 3, x + tap % 3) * SA + group % A;
                    return tap < TAPS ? at : group == TAPS * A ? one : zero;
                },
                [&](int pixel) {
                    return frame + pixel1(y + 1, pixel % 8 * 2 + pixel / 8 + 1) * SB;
                });
    }
    partials += static_cast<long long>(blockIdx.y) * total_partials + offset2_partials;
    store(partials + blockIdx.x * (TAPS * N * M + M), sum, N, A, float(1 / gradient_scale));
}

// From hidden1 through pooling and ReLU to conv1's weights. Grid (chunks, replicas).
extern "C" __global__ void __launch_bounds__(THREADS, A == 1 ? 4 : 3) backward1(
    const u8 *pixels, const int *draws, const int *step, const uint4 *place1,
    const uint4 *gradient1, float *partials, int images, int batch, int total_partials, int chunk,
    double gradient_scale, double low, double scale) {
    constexpr int MAP = 256 * SA, TILES = 4; // of 16 rows: 3 rows of 4 taps of 4 colours, the bias
    uint4 *const zero = shared, *const one = zero + 1, *const copies = zero + CONSTANTS;
    uint4 *const gradients = copies + 2 * IMAGE, *const places = gradients + MAP;
    Images seen = images_of(pixels, draws, step, images, batch, low, scale);
    fill(shared, CONSTANTS + 2 * IMAGE + 2 * MAP + 1);
    __syncthreads();
    if (threadIdx.x == 0) set(one, 0, 1);
    float sum[TILES][A][4] = {};
    for (int b = blockIdx.x * chunk; b < min(int(blockIdx.x + 1) * chunk, seen.valid); ++b) {
        long long image = static_cast<long long>(blockIdx.y) * batch + b;
        __syncthreads();
        crop(copies, seen, b, threadIdx.x, THREADS);
        copy(gradients, gradient1 + image * MAP, MAP);
        copy(places, place1 + image * MAP, MAP);
        __syncthreads();
        for (int y = warp() * 2; y < warp() * 2 + 2; ++y) {
            u32 g[(A + 1) / 2][4], place[(A + 1) / 2][4];
#pragma unroll
            for (int j = 0; j < A; j += 2) {
                int at = (y * 16 + lane() % 16) * SA + j + lane() / 16;
                tiles_transposed(g[j / 2], gradients + at);
                tiles_transposed(place[j / 2], places + at);
            }
#pragma unroll
            for (u32 corner = 0; corner < 4; ++corner) {
                u32 b1[A][2];
#pragma unroll
                for (int j = 0; j < A; ++j)
#pragma unroll
                    for (int half = 0; half < 2; ++half)
                        b1[j][half] = only(g[j / 2][j % 2 * 2 + half],
                                           place[j / 2][j % 2 * 2 + half], corner);
#pragma unroll
                for (int t = 0; t < TILES; ++t) {
                    int group = 2 * t + lane() / 8 % 2, x = lane() % 8 + lane() / 16 * 8;
                    uint4 *at = copies + corner % 2 * IMAGE +
                                (2 * y + corner / 2 + group / 2) * 17 + x + group % 2;
                    u32 a[4];
                    tiles_transposed(a, group < 6 ? at : group == 6 ? one : zero);
#pragma unroll
                    for (int j = 0; j < A; ++j) product(sum[t][j], a, b1[j][0], b1[j][1]);
                }
            }
        }
    }
    float *const all = reinterpret_cast<float *>(copies);  // (64, 8 A), the warps' sums in order
    for (int turn = 0; turn < WARPS; ++turn) {
        __syncthreads();
#pragma unroll
        for (int t = 0; warp() == turn && t < TILES; ++t)
#pragma unroll
            for (int j = 0; j < A; ++j)
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    int row = t * 16 + lane() / 4 + e / 2 * 8;
                    float &at = all[row * A * 8 + j * 8 + lane() % 4 * 2 + e % 2];
                    at = turn ? at + sum[t][j][e] : sum[t][j][e];
                }
    }
    __syncthreads();
    partials += static_cast<long long>(blockIdx.y) * total_partials;
    partials += blockIdx.x * (TAPS * 3 + 1) * N;
    for (int i = threadIdx.x; i < (TAPS * 3 + 1) * N; i += THREADS) {
        int ky = i / N / 9, kx = i / N % 9 / 3, c = i / N % 3;
        int row = ky < 3 ? ky * 16 + kx * 4 + c : 48;
        partials[i] = all[row * A * 8 + i % N] * float(1 / gradient_scale);
    }
}
