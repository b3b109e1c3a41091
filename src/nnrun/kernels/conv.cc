// 2-D convolutions on a processor's cores, as calls of XLA's foreign function interface.
//
//   nnrun_forward           x (n, h, w, c), k (kh, kw, c, o)     -> y (n, h', w', o)
//   nnrun_input_gradient    dy (n, h', w', o), k (kh, kw, c, o)  -> dx (n, h, w, c)
//   nnrun_kernel_gradient   x (n, h, w, c), dy (n, h', w', o)    -> dk (kh, kw, c, o)
//
// in float or double, with the attributes stride, top and left (zeros before the first row and column).  The input
// gradient is a forward convolution of dy for each remainder of the positions by the stride, so nothing is
// multiplied by the zeros between its entries.  The kernel gradient is summed over fixed parts of the batch, in
// their order.  So no bit depends on how many threads there are.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "common.h"

namespace {

using nnrun::in_parallel;
using nnrun::Processor;
using nnrun::scratch;

constexpr int VERSION = 2;                  // as in __init__.py
constexpr int64_t PARTS = 8;                // of a batch, in a kernel gradient
constexpr int64_t MOST_SUMS = 4'000'000;    // entries of kernel gradients that are held for the parts

// A convolution of stride 1 or more over rows that lie in memory one behind the other; distances are in entries.
template <typename T>
struct Window {
  int64_t rows, columns;        // of the window; a column is a pixel's channel
  int64_t x_row, x_step, x_next; // from a row of x to the next; from a pixel of y to the next; from a row of y
  int64_t y_rows, y_columns, y_row, y_step;
  int64_t channels;  // of y
};

// The pixels over which a row of a kernel gradient is summed.
template <typename T>
struct Pixels {
  int64_t rows, columns, x_row, x_step;
  int64_t entries;   // of a row of the kernel: columns × channels of x
  int64_t channels;  // of dy, whole vectors
};

template <typename T>
struct Arithmetic {
  int64_t lanes;
  void (*correlate)(const Window<T>&, const T* x, const T* packed, T* y);
  void (*gradient)(const Pixels<T>&, const T* x, const T* dy, T* dk, int64_t channel);
};

#if defined(__x86_64__)
namespace avx512 {
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,prefer-vector-width=512")
#define BYTES 64
#define WIDE 14
#define NARROW 16
#include "tiles.h"
#pragma GCC pop_options
}  // namespace avx512
namespace avx2 {
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define BYTES 32
#define WIDE 6
#define NARROW 12
#include "tiles.h"
#pragma GCC pop_options
}  // namespace avx2
#endif

namespace plain {  // NEON on ARM, SSE2 on x86
#define BYTES 16
#if defined(__aarch64__)
#define WIDE 13
#define NARROW 16
#else
#define WIDE 6
#define NARROW 12
#endif
#include "tiles.h"
}  // namespace plain

template <typename T>
const Arithmetic<T>& best() {
  switch (nnrun::processor()) {
#if defined(__x86_64__)
    case Processor::avx512:
      return avx512::arithmetic<T>;
    case Processor::avx2:
      return avx2::arithmetic<T>;
#endif
    default:
      return plain::arithmetic<T>;
  }
}

// An image (h, w, c) with zeros around it, (rows, columns, c); what lies outside is cut off.  The image itself
// where there is nothing to add.
template <typename T>
const T* padded(const T* image, int64_t h, int64_t w, int64_t c, int64_t top, int64_t left, int64_t rows,
                int64_t columns) {
  if (top == 0 && left == 0 && columns == w && rows <= h) return image;
  T* to = scratch<T>(rows * columns * c);
  const int64_t first = left * c, used = std::max<int64_t>(0, std::min(w, columns - left)) * c, all = columns * c;
  for (int64_t row = 0; row < rows; row++) {
    T* line = to + row * all;
    if (row < top || row >= top + h) {
      std::fill_n(line, all, T(0));
    } else {
      std::fill_n(line, std::min(first, all), T(0));
      std::memcpy(line + first, image + (row - top) * w * c, sizeof(T) * used);
      std::fill_n(line + first + used, std::max<int64_t>(0, all - first - used), T(0));
    }
  }
  return to;
}

int64_t whole(int64_t channels, int64_t lanes) { return (channels + lanes - 1) / lanes * lanes; }

// A kernel as the tiles read it: blocks of two vectors of output channels, the last one of one or two.
// entry(row, column, channel) is what stands there.
template <typename T, typename Entry>
std::vector<T> pack(int64_t rows, int64_t columns, int64_t channels, int64_t lanes, Entry entry) {
  std::vector<T> packed(rows * columns * whole(channels, lanes));
  for (int64_t first = 0; first < channels; first += 2 * lanes) {
    const int64_t width = channels - first > lanes ? 2 * lanes : lanes;
    T* block = packed.data() + first * rows * columns;
    for (int64_t row = 0; row < rows; row++) {
      for (int64_t column = 0; column < columns; column++, block += width) {
        for (int64_t o = 0; o < std::min(width, channels - first); o++) block[o] = entry(row, column, first + o);
      }
    }
  }
  return packed;
}

struct Attributes {
  int64_t stride, top, left;
};

struct Shape {
  int64_t n, h, w, c;
};

template <typename Buffer>
Shape shape_of(Buffer&& buffer) {
  auto d = buffer.dimensions();
  return {d[0], d[1], d[2], d[3]};
}

template <typename T>
void forward(ffi::ThreadPool& pool, const T* x, Shape in, const T* k, Shape kernel, T* y, Shape out, Attributes how) {
  const Arithmetic<T>& processor = best<T>();
  const int64_t kh = kernel.n, kw = kernel.h, c = in.c, o = out.c;
  auto packed = pack<T>(kh, kw * c, o, processor.lanes,
                        [&](int64_t row, int64_t column, int64_t channel) { return k[(row * kw * c + column) * o + channel]; });
  const int64_t rows = (out.h - 1) * how.stride + kh, columns = std::max((out.w - 1) * how.stride + kw, how.left + in.w);
  Window<T> window = {kh, kw * c, columns * c, how.stride * c, how.stride * columns * c,
                      out.h, out.w, out.w * o, o, o};
  in_parallel(pool, in.n, 1.0 * out.n * out.h * out.w * o * kh * kw * c, [&](int64_t i) {
    const T* image = padded(x + i * in.h * in.w * c, in.h, in.w, c, how.top, how.left, rows, columns);
    processor.correlate(window, image, packed.data(), y + i * out.h * out.w * o);
  });
}

// What the positions stride · q + remainder of an axis of x meet: taps[t] of the kernel and entry q + first + t of dy.
struct Phase {
  std::vector<int64_t> taps;
  int64_t first, count;
};

std::vector<Phase> phases(int64_t size, int64_t window, int64_t stride, int64_t before) {
  std::vector<Phase> all;
  for (int64_t remainder = 0; remainder < std::min(stride, size); remainder++) {
    Phase phase{{}, 0, (size - remainder + stride - 1) / stride};
    for (int64_t tap = window - 1; tap >= 0; tap--) {
      if ((remainder + before - tap) % stride) continue;
      if (phase.taps.empty()) phase.first = (remainder + before - tap) / stride;
      phase.taps.push_back(tap);
    }
    all.push_back(phase);
  }
  return all;
}

// How many zeros the phases need before an axis of dy, and how long it is with those before and behind.
std::pair<int64_t, int64_t> reach(const std::vector<Phase>& all, int64_t size) {
  int64_t before = 0, end = size;
  for (const Phase& phase : all) {
    before = std::max(before, -phase.first);
    end = std::max(end, phase.count - 1 + phase.first + static_cast<int64_t>(phase.taps.size()));
  }
  return {before, before + end};
}

template <typename T>
void input_gradient(ffi::ThreadPool& pool, const T* dy, Shape out, const T* k, Shape kernel, T* dx, Shape in,
                    Attributes how) {
  const Arithmetic<T>& processor = best<T>();
  const int64_t kw = kernel.h, c = in.c, o = out.c, stride = how.stride;
  const auto vertical = phases(in.h, kernel.n, stride, how.top), horizontal = phases(in.w, kw, stride, how.left);
  const auto [top, rows] = reach(vertical, out.h);
  const auto [left, columns] = reach(horizontal, out.w);
  struct Part {
    Window<T> window;
    std::vector<T> packed;
    int64_t from, to;
  };
  std::vector<Part> parts;
  for (size_t r = 0; r < vertical.size(); r++) {
    for (size_t s = 0; s < horizontal.size(); s++) {
      const Phase &v = vertical[r], &h = horizontal[s];
      const int64_t taps = v.taps.size(), across = h.taps.size();
      Part part;
      part.window = {taps, across * o, columns * o, o, columns * o, v.count, h.count, stride * in.w * c, stride * c, c};
      part.packed = pack<T>(taps, across * o, c, processor.lanes, [&](int64_t row, int64_t column, int64_t channel) {
        return k[((v.taps[row] * kw + h.taps[column / o]) * c + channel) * o + column % o];
      });
      part.from = taps && across ? ((top + v.first) * columns + left + h.first) * o : 0;
      part.to = (static_cast<int64_t>(r) * in.w + static_cast<int64_t>(s)) * c;
      parts.push_back(std::move(part));
    }
  }
  in_parallel(pool, in.n, 1.0 * out.n * out.h * out.w * o * kernel.n * kw * c, [&](int64_t i) {
    const T* slopes = padded(dy + i * out.h * out.w * o, out.h, out.w, o, top, left, rows, columns);
    T* image = dx + i * in.h * in.w * c;
    for (const Part& part : parts) {
      if (part.packed.empty()) {  // no tap meets these positions
        const Window<T>& window = part.window;
        for (int64_t q = 0; q < window.y_rows; q++) {
          for (int64_t p = 0; p < window.y_columns; p++) {
            std::memset(image + part.to + q * window.y_row + p * window.y_step, 0, sizeof(T) * c);
          }
        }
        continue;
      }
      processor.correlate(part.window, slopes + part.from, part.packed.data(), image + part.to);
    }
  });
}

template <typename T>
void kernel_gradient(ffi::ThreadPool& pool, const T* x, Shape in, const T* dy, Shape out, T* dk, Shape kernel,
                     Attributes how) {
  const Arithmetic<T>& processor = best<T>();
  const int64_t kh = kernel.n, kw = kernel.h, c = in.c, o = out.c, lanes = processor.lanes;
  const int64_t channels = whole(o, lanes), sums = kh * kw * c * channels;
  const int64_t parts = std::max<int64_t>(1, std::min({PARTS, in.n, MOST_SUMS / sums}));
  const int64_t blocks = (channels + 2 * lanes - 1) / (2 * lanes), groups = parts < PARTS ? PARTS / parts : 1;
  const int64_t rows = (out.h - 1) * how.stride + kh, columns = std::max((out.w - 1) * how.stride + kw, how.left + in.w);
  const Pixels<T> pixels = {out.h, out.w, how.stride * columns * c, how.stride * c, kw * c, channels};
  std::vector<T> held(parts * sums);
  in_parallel(pool, parts * groups, 1.0 * out.n * out.h * out.w * o * kh * kw * c, [&](int64_t unit) {
    const int64_t part = unit / groups, group = unit % groups;
    std::vector<T> filled(channels == o ? 0 : out.h * out.w * channels);
    for (int64_t i = in.n * part / parts; i < in.n * (part + 1) / parts; i++) {
      const T* image = padded(x + i * in.h * in.w * c, in.h, in.w, c, how.top, how.left, rows, columns);
      const T* slopes = dy + i * out.h * out.w * o;
      if (!filled.empty()) {
        for (int64_t p = 0; p < out.h * out.w; p++) std::memcpy(&filled[p * channels], slopes + p * o, sizeof(T) * o);
        slopes = filled.data();
      }
      for (int64_t piece = group; piece < kh * blocks; piece += groups) {
        const int64_t row = piece / blocks, channel = piece % blocks * 2 * lanes;
        processor.gradient(pixels, image + row * columns * c, slopes,
                           held.data() + part * sums + row * kw * c * channels, channel);
      }
    }
  });
  for (int64_t entry = 0; entry < kh * kw * c; entry++) {
    for (int64_t channel = 0; channel < o; channel++) {
      const T* sum = held.data() + entry * channels + channel;
      T total = sum[0];
      for (int64_t part = 1; part < parts; part++) total += sum[part * sums];
      dk[entry * o + channel] = total;
    }
  }
}

// Whether image, kernel and result belong together; the geometry is that of the forward convolution.
ffi::Error check(Shape in, Shape kernel, Shape out, Attributes how) {
  const bool fits = in.n == out.n && in.c == kernel.w && out.c == kernel.c && how.stride > 0 && how.top >= 0 &&
                    how.left >= 0 && kernel.n > 0 && kernel.h > 0 && in.h > 0 && in.w > 0 && in.c > 0 && out.c > 0;
  return fits ? ffi::Error::Success() : ffi::Error(ffi::ErrorCode::kInvalidArgument, "the shapes do not fit");
}

using Operand = ffi::AnyBuffer;
using Result = ffi::Result<ffi::AnyBuffer>;

template <typename T>
using Function = void (*)(ffi::ThreadPool&, const T*, Shape, const T*, Shape, T*, Shape, Attributes);

// Calls one of the three functions with what XLA hands over.  IMAGE, KERNEL and OUT say which of first, second and
// result (0, 1, 2) is what in the forward convolution.
template <int IMAGE, int KERNEL, int OUT>
ffi::Error run(ffi::ThreadPool& pool, const Operand& a, const Operand& b, Result& result, Attributes how,
               Function<float> as_float, Function<double> as_double) {
  if (a.dimensions().size() != 4 || b.dimensions().size() != 4 || result->dimensions().size() != 4) {
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "four dimensions are needed");
  }
  const Shape shapes[] = {shape_of(a), shape_of(b), shape_of(*result)};
  if (auto error = check(shapes[IMAGE], shapes[KERNEL], shapes[OUT], how); error.failure()) return error;
  const auto type = a.element_type();
  if (b.element_type() != type || result->element_type() != type) {
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "the types differ");
  }
  if (type == ffi::F32) {
    as_float(pool, a.typed_data<float>(), shapes[0], b.typed_data<float>(), shapes[1], result->typed_data<float>(),
             shapes[2], how);
  } else if (type == ffi::F64) {
    as_double(pool, a.typed_data<double>(), shapes[0], b.typed_data<double>(), shapes[1],
              result->typed_data<double>(), shapes[2], how);
  } else {
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "neither float nor double");
  }
  return ffi::Error::Success();
}

ffi::Error call_forward(ffi::ThreadPool pool, Operand x, Operand kernel, Result y, int64_t stride, int64_t top,
                        int64_t left) {
  return run<0, 1, 2>(pool, x, kernel, y, {stride, top, left}, forward<float>, forward<double>);
}

ffi::Error call_input_gradient(ffi::ThreadPool pool, Operand dy, Operand kernel, Result dx, int64_t stride,
                               int64_t top, int64_t left) {
  return run<2, 1, 0>(pool, dy, kernel, dx, {stride, top, left}, input_gradient<float>, input_gradient<double>);
}

ffi::Error call_kernel_gradient(ffi::ThreadPool pool, Operand x, Operand dy, Result dk, int64_t stride, int64_t top,
                                int64_t left) {
  return run<0, 2, 1>(pool, x, dy, dk, {stride, top, left}, kernel_gradient<float>, kernel_gradient<double>);
}

#define BOUND                                                                                                    \
  ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Operand>().Arg<Operand>().Ret<ffi::AnyBuffer>().Attr<int64_t>("stride") \
      .Attr<int64_t>("top").Attr<int64_t>("left")

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(nnrun_forward, call_forward, BOUND);
XLA_FFI_DEFINE_HANDLER_SYMBOL(nnrun_input_gradient, call_input_gradient, BOUND);
XLA_FFI_DEFINE_HANDLER_SYMBOL(nnrun_kernel_gradient, call_kernel_gradient, BOUND);

extern "C" {
int nnrun_kernels_version() { return VERSION; }

// The kind of processor that is computed for: 0 plain, 1 AVX2, 2 AVX-512.
int nnrun_kernels_processor() { return static_cast<int>(nnrun::processor()); }

// For tests: computes for a kind of processor that this one has too, or with -1 for this one.  Whether it does.
int nnrun_kernels_choose(int kind) {
  if (kind > static_cast<int>(nnrun::best_processor())) return 0;
  nnrun::chosen = kind;
  return 1;
}
}
