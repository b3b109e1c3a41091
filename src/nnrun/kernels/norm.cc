// The sums of batch norm on a processor's cores, as calls of XLA's foreign function interface.
//
//   nnrun_moments   x (n, ..., c)                            -> (n, 2, c): mean, Σ (x − mean)² of each example
//   nnrun_slopes    dy (n, ..., c), x (n, ..., c), mean (n, c) -> (n, 2, c): Σ dy, Σ dy (x − mean) of each example
//
// in float or double.  An example is read from memory once.  Sums over the batch are left to the caller, so no bit
// depends on how many threads there are, or on what else is in the batch.

#include <algorithm>
#include <cstdint>

#include "common.h"

namespace {

using nnrun::in_parallel;
using nnrun::Processor;
using nnrun::scratch;

constexpr int64_t PERIOD = 128;  // sums that are held at least
constexpr double COST = 4;       // of an entry, in multiplications of a convolution

struct Example {
  int64_t entries, channels, period;
};

template <typename T>
struct Arithmetic {
  void (*moments)(const Example&, const T* x, T* memory, T* result);
  void (*slopes)(const Example&, const T* dy, const T* x, const T* mean, T* memory, T* result);
};

#if defined(__x86_64__)
namespace avx512 {
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,prefer-vector-width=512")
#include "sums.h"
#pragma GCC pop_options
}  // namespace avx512
namespace avx2 {
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#include "sums.h"
#pragma GCC pop_options
}  // namespace avx2
#endif

namespace plain {  // NEON on ARM, SSE2 on x86
#include "sums.h"
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

struct Batch {
  int64_t examples;
  Example example;
};

template <typename T>
void moments(ffi::ThreadPool& pool, const Batch& batch, const T* x, T* results) {
  const auto& [examples, example] = batch;
  in_parallel(pool, examples, COST * examples * example.entries, [&](int64_t i) {
    best<T>().moments(example, x + i * example.entries, scratch<T>(2 * example.period),
                      results + i * 2 * example.channels);
  });
}

template <typename T>
void slopes(ffi::ThreadPool& pool, const Batch& batch, const T* dy, const T* x, const T* mean, T* results) {
  const auto& [examples, example] = batch;
  in_parallel(pool, examples, COST * examples * example.entries, [&](int64_t i) {
    best<T>().slopes(example, dy + i * example.entries, x + i * example.entries, mean + i * example.channels,
                     scratch<T>(3 * example.period), results + i * 2 * example.channels);
  });
}

using Operand = ffi::AnyBuffer;
using Result = ffi::Result<ffi::AnyBuffer>;

ffi::Error refusal(const char* reason) { return ffi::Error(ffi::ErrorCode::kInvalidArgument, reason); }

// What the shapes say, or why they do not fit.
ffi::ErrorOr<Batch> batch_of(const Operand& x, Result& result) {
  const auto shape = x.dimensions(), sums = result->dimensions();
  if (shape.size() < 3) return ffi::Unexpected(refusal("three dimensions are needed"));
  const int64_t n = shape.front(), channels = shape.back();
  const bool fits = sums.size() == 3 && sums[0] == n && sums[1] == 2 && sums[2] == channels && x.element_count() > 0;
  if (!fits) return ffi::Unexpected(refusal("the shapes do not fit"));
  if (result->element_type() != x.element_type()) return ffi::Unexpected(refusal("the types differ"));
  const int64_t entries = static_cast<int64_t>(x.element_count()) / n;
  const int64_t rows = std::min(std::max<int64_t>(1, PERIOD / channels), entries / channels);
  return Batch{n, {entries, channels, rows * channels}};
}

ffi::Error call_moments(ffi::ThreadPool pool, Operand x, Result result) {
  const auto batch = batch_of(x, result);
  if (!batch.has_value()) return batch.error();
  if (x.element_type() == ffi::F32) {
    moments(pool, *batch, x.typed_data<float>(), result->typed_data<float>());
  } else if (x.element_type() == ffi::F64) {
    moments(pool, *batch, x.typed_data<double>(), result->typed_data<double>());
  } else {
    return refusal("neither float nor double");
  }
  return ffi::Error::Success();
}

ffi::Error call_slopes(ffi::ThreadPool pool, Operand dy, Operand x, Operand mean, Result result) {
  const auto batch = batch_of(x, result);
  if (!batch.has_value()) return batch.error();
  const auto means = mean.dimensions();
  const bool fits = dy.dimensions() == x.dimensions() && means.size() == 2 && means[0] == batch->examples &&
                    means[1] == batch->example.channels;
  if (!fits) return refusal("the shapes do not fit");
  const auto type = x.element_type();
  if (dy.element_type() != type || mean.element_type() != type) return refusal("the types differ");
  if (type == ffi::F32) {
    slopes(pool, *batch, dy.typed_data<float>(), x.typed_data<float>(), mean.typed_data<float>(),
           result->typed_data<float>());
  } else if (type == ffi::F64) {
    slopes(pool, *batch, dy.typed_data<double>(), x.typed_data<double>(), mean.typed_data<double>(),
           result->typed_data<double>());
  } else {
    return refusal("neither float nor double");
  }
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(nnrun_moments, call_moments,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Operand>().Ret<ffi::AnyBuffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    nnrun_slopes, call_slopes,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Operand>().Arg<Operand>().Arg<Operand>().Ret<ffi::AnyBuffer>());
