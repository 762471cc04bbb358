// What fused.cu needs of CUDA, for a CPU.
//
// The threads of a block are fibers that run in turn, each until it waits for others. What lanes of
// a warp do together follows its definition in NVIDIA's PTX, from what each lane leaves for the
// others. Shared memory is full of NaNs at first, so that a result shows what was never written.
#include <algorithm>
#include <cstring>
#include <functional>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __shared__
#define __launch_bounds__(...)

struct uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct Index { int x, y; };
using std::min;

namespace emulated {

constexpr int THREADS = 256, LANES = 32, STACK = 64 * 1024;
struct Lane { const void *row; unsigned a[4], b[2]; };
struct Barrier { int waiting = 0, turn = 0; };
struct Warp { Lane lanes[2][LANES]; Barrier barrier; };
static ucontext_t scheduler, contexts[THREADS];
static std::vector<char> stacks(THREADS *STACK);
static std::vector<uint4> memory;
static Warp warps[THREADS / LANES];
static Barrier block;
static int now;                              // the thread that runs
static bool ended[THREADS];
static std::function<void()> body;

inline void yield() { swapcontext(&contexts[now], &scheduler); }

inline void wait(Barrier &barrier, int threads) {
    int turn = barrier.turn;
    if (++barrier.waiting == threads) { barrier.waiting = 0; ++barrier.turn; return; }
    while (barrier.turn == turn) yield();
}

static void run() { body(); ended[now] = true; yield(); }

// Leaves something for the other lanes of this warp, and gives what all of them left. There are two
// places in turn: a lane may leave the next while others still read the last.
inline const Lane *exchange(const Lane &left) {
    Warp &own = warps[now / LANES];
    Lane *all = own.lanes[own.barrier.turn % 2];
    all[now % LANES] = left;
    wait(own.barrier, LANES);
    return all;
}

inline float half(unsigned bits) {
    _Float16 value;
    unsigned short low = bits;
    std::memcpy(&value, &low, 2);
    return value;
}

}  // namespace emulated

static Index blockIdx;
struct Thread { struct { operator int() const { return emulated::now; } } x; };
static Thread threadIdx;
static uint4 *shared;

inline void __syncthreads() { emulated::wait(emulated::block, emulated::THREADS); }

inline void tiles(unsigned (&t)[4], const uint4 *row) {
    const emulated::Lane *all = emulated::exchange({row, {}, {}});
    int lane = emulated::now % 32;
    for (int i = 0; i < 4; ++i)
        t[i] = static_cast<const unsigned *>(all[i * 8 + lane / 4].row)[lane % 4];
}

inline void tiles_transposed(unsigned (&t)[4], const uint4 *row) {
    const emulated::Lane *all = emulated::exchange({row, {}, {}});
    int lane = emulated::now % 32;
    for (int i = 0; i < 4; ++i) {
        const emulated::Lane *rows = all + i * 8 + lane % 4 * 2;
        unsigned both[2];
        for (int k = 0; k < 2; ++k)
            both[k] = static_cast<const unsigned short *>(rows[k].row)[lane / 4];
        t[i] = both[0] | both[1] << 16;
    }
}

inline void product(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    const emulated::Lane *all = emulated::exchange({nullptr, {a[0], a[1], a[2], a[3]}, {b0, b1}});
    int lane = emulated::now % 32;
    for (int e = 0; e < 4; ++e) {
        int row = lane / 4, column = lane % 4 * 2 + e % 2;
        float added = 0;
        for (int k = 0; k < 16; ++k) {
            unsigned left = all[row * 4 + k % 8 / 2].a[k / 8 * 2 + e / 2] >> k % 2 * 16;
            unsigned right = all[column * 4 + k % 8 / 2].b[k / 8] >> k % 2 * 16;
            added += emulated::half(left) * emulated::half(right);
        }
        sum[e] += added;
    }
}

inline unsigned pair(float first, float second) {
    _Float16 both[2] = {_Float16(first), _Float16(second)};
    unsigned bits;
    std::memcpy(&bits, both, 4);
    return bits;
}

// Runs a kernel over a grid, with so many bytes of shared memory.
static void launch(int columns, int rows, int bytes, std::function<void()> kernel) {
    using namespace emulated;
    body = std::move(kernel);
    for (int y = 0; y < rows; ++y)
        for (int x = 0; x < columns; ++x) {
            blockIdx = {x, y};
            memory.assign(bytes / 16, uint4{~0u, ~0u, ~0u, ~0u});  // NaN
            shared = memory.data();
            for (now = 0; now < THREADS; ++now) {
                ended[now] = false;
                getcontext(&contexts[now]);
                contexts[now].uc_stack = {stacks.data() + now * STACK, 0, STACK};
                contexts[now].uc_link = nullptr;
                makecontext(&contexts[now], run, 0);
            }
            for (bool going = true; going;) {
                going = false;
                for (now = 0; now < THREADS; ++now)
                    if (!ended[now]) going = true, swapcontext(&scheduler, &contexts[now]);
            }
        }
}
