// The sums of norm.cc for one kind of processor.  norm.cc includes this file once for each, inside a namespace and
// compiled for it.
//
// The entries of an example lie one behind the other, channels last.  They are added up in `period` sums, a multiple
// of the channels that fills vector registers whatever the number of channels is; in the end those of a channel are
// added up in their order.

// to[channel] = Σ over the sums of a channel
template <typename T>
INLINE void fold(const T* sums, int64_t period, int64_t channels, T* to) {
  std::copy_n(sums, channels, to);
  for (int64_t first = channels; first < period; first += channels) {
    for (int64_t k = 0; k < channels; k++) to[k] += sums[first + k];
  }
}

// sums[i mod period] += term(i, i mod period) for the entries i of an example
template <typename T, typename Term>
INLINE void add_up(int64_t entries, int64_t period, T* __restrict__ sums, Term term) {
  std::fill_n(sums, period, T(0));
  int64_t first = 0;
  for (; first + period <= entries; first += period) {
    for (int64_t j = 0; j < period; j++) sums[j] += term(first + j, j);
  }
  for (int64_t j = 0; first + j < entries; j++) sums[j] += term(first + j, j);
}

// x (entries) -> the mean of each channel, and the sum of the squared deviations from it.
template <typename T>
static void moments(const Example& example, const T* __restrict__ x, T* __restrict__ memory, T* result) {
  const auto [entries, channels, period] = example;
  T *sums = memory, *means = memory + period;
  add_up(entries, period, sums, [&](int64_t i, int64_t) { return x[i]; });
  fold(sums, period, channels, result);
  for (int64_t k = 0; k < channels; k++) result[k] /= static_cast<T>(entries / channels);
  for (int64_t j = 0; j < period; j++) means[j] = result[j % channels];
  add_up(entries, period, sums, [&](int64_t i, int64_t j) { return (x[i] - means[j]) * (x[i] - means[j]); });
  fold(sums, period, channels, result + channels);
}

// dy, x (entries), mean (channels) -> Σ dy and Σ dy (x − mean) of each channel.
template <typename T>
static void slopes(const Example& example, const T* __restrict__ dy, const T* __restrict__ x, const T* mean,
                   T* __restrict__ memory, T* result) {
  const auto [entries, channels, period] = example;
  T *sums = memory, *products = memory + period, *means = memory + 2 * period;
  for (int64_t j = 0; j < period; j++) means[j] = mean[j % channels];
  std::fill_n(products, period, T(0));
  std::fill_n(sums, period, T(0));
  int64_t first = 0;
  for (; first < entries; first += period) {
    const int64_t count = std::min(period, entries - first);
    for (int64_t j = 0; j < count; j++) {
      sums[j] += dy[first + j];
      products[j] += dy[first + j] * (x[first + j] - means[j]);
    }
  }
  fold(sums, period, channels, result);
  fold(products, period, channels, result + channels);
}

template <typename T>
static constexpr Arithmetic<T> arithmetic = {moments<T>, slopes<T>};
