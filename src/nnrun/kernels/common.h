// What the kernels share: the kind of processor, XLA's threads, and memory that is kept from call to call.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "xla/ffi/api/ffi.h"

#define INLINE static inline __attribute__((always_inline))

namespace ffi = xla::ffi;

namespace nnrun {

constexpr int64_t WORTH_A_THREAD = 200'000; // multiplications

enum class Processor { plain, avx2, avx512 };

inline Processor best_processor() {
#if defined(__x86_64__)
  static const Processor best = [] {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
      return Processor::avx512;
    }
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? Processor::avx2 : Processor::plain;
  }();
  return best;
#else
  return Processor::plain;
#endif
}

inline std::atomic<int> chosen{-1};  // a Processor that tests ask for; -1: the best

inline Processor processor() {
  const int asked = chosen.load();
  return asked < 0 ? best_processor() : static_cast<Processor>(asked);
}

// Calls work(0), ..., work(units - 1), each once, in any order, on the threads of the pool and this one.
template <typename Work>
void in_parallel(ffi::ThreadPool& pool, int64_t units, double multiplications, const Work& work) {
  const int64_t worth = static_cast<int64_t>(multiplications / WORTH_A_THREAD);
  const int64_t helpers = std::min({pool.num_threads(), units, worth + 1}) - 1;
  if (helpers < 1) {
    for (int64_t i = 0; i < units; i++) work(i);
    return;
  }
  // A helper that begins when all is done finds nothing to do, so nobody waits for a thread that is not free.
  struct Shared {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable all;
  };
  auto shared = std::make_shared<Shared>();
  auto take = [shared, units, &work] {
    for (int64_t i = shared->next++; i < units; i = shared->next++) {
      work(i);  // alive: the caller waits for every unit that was taken
      if (++shared->done == units) {
        std::lock_guard<std::mutex> lock(shared->mutex);
        shared->all.notify_all();
      }
    }
  };
  for (int64_t i = 0; i < helpers; i++) pool.Schedule(decltype(take)(take));
  take();
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->all.wait(lock, [&] { return shared->done == units; });
}

// Memory of this thread that is kept for the next call.
template <typename T>
T* scratch(int64_t entries) {
  thread_local std::vector<T> memory;
  if (static_cast<int64_t>(memory.size()) < entries) memory.resize(entries);
  return memory.data();
}

}  // namespace nnrun
