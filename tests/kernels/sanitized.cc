// The kernels on random shapes, with four threads and with one, on each kind of processor there is here: no bit may
// differ.  `sanitized.py` builds it with the sanitizers, which see every access to memory and all threads, since no
// code is in between that was built without them.  Each buffer ends where its array ends.

#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <random>
#include <thread>

#ifdef NORM
#include "norm.cc"
#else
#include "conv.cc"
#endif

namespace {

// What XLA hands to a kernel, but for the threads nothing.
class Threads {
 public:
  explicit Threads(int64_t count) : count_(count) {
    for (int64_t i = 1; i < count; i++) threads_.emplace_back([this] { work(); });
    std::memset(&api_, 0, sizeof(api_));
    api_.XLA_FFI_ThreadPool_Schedule = [](XLA_FFI_ThreadPool_Schedule_Args* args) -> XLA_FFI_Error* {
      reinterpret_cast<Threads*>(args->ctx)->add([task = args->task, data = args->data] { task(data); });
      return nullptr;
    };
    api_.XLA_FFI_ThreadPool_NumThreads = [](XLA_FFI_ThreadPool_NumThreads_Args* args) -> XLA_FFI_Error* {
      *args->num_threads = reinterpret_cast<Threads*>(args->ctx)->count_;
      return nullptr;
    };
  }

  ~Threads() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
    }
    wakes_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  ffi::ThreadPool pool() {
    return *ffi::CtxDecoding<ffi::ThreadPool>::Decode(&api_, reinterpret_cast<XLA_FFI_ExecutionContext*>(this),
                                                      diagnostic_);
  }

 private:
  void add(std::function<void()> task) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    wakes_.notify_one();
  }

  void work() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      wakes_.wait(lock, [this] { return over_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }

  const int64_t count_;
  XLA_FFI_Api api_;
  ffi::DiagnosticEngine diagnostic_;
  std::mutex mutex_;
  std::condition_variable wakes_;
  std::deque<std::function<void()>> tasks_;
  bool over_ = false;
  std::vector<std::thread> threads_;
};

std::mt19937 generator(0);

int64_t drawn(int64_t least, int64_t most) { return std::uniform_int_distribution<int64_t>(least, most)(generator); }

template <typename T>
std::unique_ptr<T[]> array(int64_t entries) {
  std::unique_ptr<T[]> values(new T[entries]);
  for (int64_t i = 0; i < entries; i++) values[i] = static_cast<T>(drawn(-1000, 1000)) / 999;
  return values;
}

int different = 0;

// Calls a kernel with one thread and with four; their results must be the same bytes.
template <typename T, typename Kernel>
void compare(Threads& single, Threads& several, int64_t entries, Kernel kernel) {
  std::unique_ptr<T[]> first(new T[entries]), second(new T[entries]);
  auto one_thread = single.pool(), four_threads = several.pool();
  kernel(one_thread, first.get());
  kernel(four_threads, second.get());
  if (std::memcmp(first.get(), second.get(), entries * sizeof(T))) different++;
}

#ifdef NORM
template <typename T>
void try_shape(Threads& single, Threads& several) {
  const int64_t n = drawn(1, 40), pixels = drawn(1, 300), c = drawn(1, 70), entries = pixels * c;
  const int64_t rows = std::min(std::max<int64_t>(1, PERIOD / c), pixels);
  const Batch batch{n, {entries, c, rows * c}};
  auto x = array<T>(n * entries), dy = array<T>(n * entries), mean = array<T>(n * c);
  compare<T>(single, several, n * 2 * c, [&](auto& pool, T* result) { moments(pool, batch, x.get(), result); });
  compare<T>(single, several, n * 2 * c,
             [&](auto& pool, T* result) { slopes(pool, batch, dy.get(), x.get(), mean.get(), result); });
}
#else
template <typename T>
void try_shape(Threads& single, Threads& several) {
  const int64_t n = drawn(1, 20), h = drawn(1, 24), w = drawn(1, 24), c = drawn(1, 40), o = drawn(1, 70);
  const int64_t kh = drawn(1, 6), kw = drawn(1, 6), stride = drawn(1, 4);
  const int64_t top = drawn(0, kh - 1), left = drawn(0, kw - 1), bottom = drawn(0, kh - 1), right = drawn(0, kw - 1);
  if (top + h + bottom < kh || left + w + right < kw) return;
  const Shape in{n, h, w, c}, kernel{kh, kw, c, o};
  const Shape out{n, (top + h + bottom - kh) / stride + 1, (left + w + right - kw) / stride + 1, o};
  const Attributes how{stride, top, left};
  auto x = array<T>(n * h * w * c), k = array<T>(kh * kw * c * o), dy = array<T>(n * out.h * out.w * o);
  compare<T>(single, several, n * out.h * out.w * o,
             [&](auto& pool, T* y) { forward(pool, x.get(), in, k.get(), kernel, y, out, how); });
  compare<T>(single, several, n * h * w * c,
             [&](auto& pool, T* dx) { input_gradient(pool, dy.get(), out, k.get(), kernel, dx, in, how); });
  compare<T>(single, several, kh * kw * c * o,
             [&](auto& pool, T* dk) { kernel_gradient(pool, x.get(), in, dy.get(), out, dk, kernel, how); });
}
#endif

}  // namespace

int main(int, char** arguments) {
  Threads single(1), several(4);
  const int shapes = std::atoi(arguments[1]);
  for (int kind = 0; kind <= static_cast<int>(nnrun::best_processor()); kind++) {
    nnrun::chosen = kind;
    for (int i = 0; i < shapes; i++) {
      try_shape<float>(single, several);
      try_shape<double>(single, several);
    }
  }
  std::printf("%d results differ between one thread and four\n", different);
  return different != 0;
}
