// The arithmetic of the three convolutions for one kind of processor.  conv.cc includes this file once for each,
// inside a namespace and compiled for it, with
//   BYTES    bytes of a vector register
//   WIDE     pixels of a tile of two vectors of channels; 2 WIDE + 3 registers are in use
//   NARROW   pixels of a tile of one vector of channels
//
// A tile is a block of sums that stay in registers.  Everything is channels last, and T is float or double.

template <typename T>
struct Lanes {
  typedef T Vector __attribute__((vector_size(BYTES), aligned(alignof(T)), may_alias));
  static constexpr int64_t count = BYTES / sizeof(T);
};

template <typename T>
INLINE typename Lanes<T>::Vector load(const T* from) {
  return *reinterpret_cast<const typename Lanes<T>::Vector*>(from);
}

template <typename T>
INLINE void store(T* to, typename Lanes<T>::Vector values, int64_t count) {
  if (count >= Lanes<T>::count) {
    *reinterpret_cast<typename Lanes<T>::Vector*>(to) = values;
  } else {
    for (int64_t i = 0; i < count; i++) to[i] = values[i];
  }
}

// y[i] = Σ over rows and columns of the window of x[i · x_step + column] · k[row, column], for P pixels i and
// V vectors of channels, of which the first `channels` are stored.
template <typename T, int P, int V>
static void correlate_tile(const Window<T>& window, const T* x, const T* k, T* y, int64_t channels) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int64_t lanes = Lanes<T>::count;
  Vector sums[P][V] = {};
  for (int64_t row = 0; row < window.rows; row++, x += window.x_row) {
    for (int64_t column = 0; column < window.columns; column++, k += V * lanes) {
      Vector weights[V];
      for (int v = 0; v < V; v++) weights[v] = load(k + v * lanes);
#pragma GCC unroll 32
      for (int i = 0; i < P; i++) {
        for (int v = 0; v < V; v++) sums[i][v] += x[i * window.x_step + column] * weights[v];
      }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < P; i++) {
    for (int v = 0; v < V; v++) store(y + i * window.y_step + v * lanes, sums[i][v], channels - v * lanes);
  }
}

// dk[j] += Σ over pixels of x[pixel · x_step + j] · dy[pixel], for P neighbouring entries j of a row of the kernel
// and V vectors of channels.
template <typename T, int P, int V>
static void gradient_tile(const Pixels<T>& pixels, const T* x, const T* dy, T* dk) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int64_t lanes = Lanes<T>::count;
  Vector sums[P][V];
#pragma GCC unroll 32
  for (int j = 0; j < P; j++) {
    for (int v = 0; v < V; v++) sums[j][v] = load(dk + j * pixels.channels + v * lanes);
  }
  for (int64_t row = 0; row < pixels.rows; row++, x += pixels.x_row) {
    const T* entry = x;
    for (int64_t column = 0; column < pixels.columns; column++, entry += pixels.x_step, dy += pixels.channels) {
      Vector slopes[V];
      for (int v = 0; v < V; v++) slopes[v] = load(dy + v * lanes);
#pragma GCC unroll 32
      for (int j = 0; j < P; j++) {
        for (int v = 0; v < V; v++) sums[j][v] += entry[j] * slopes[v];
      }
    }
  }
#pragma GCC unroll 32
  for (int j = 0; j < P; j++) {
    for (int v = 0; v < V; v++) store(dk + j * pixels.channels + v * lanes, sums[j][v], lanes);
  }
}

template <typename T>
using CorrelateTile = void (*)(const Window<T>&, const T*, const T*, T*, int64_t);
template <typename T>
using GradientTile = void (*)(const Pixels<T>&, const T*, const T*, T*);

// The tiles of 1, 2, ..., N pixels.
template <typename T, int V, int... N>
static CorrelateTile<T> correlate_of(int64_t size, std::integer_sequence<int, N...>) {
  static constexpr CorrelateTile<T> tiles[] = {correlate_tile<T, N + 1, V>...};
  return tiles[size - 1];
}

template <typename T, int V, int... N>
static GradientTile<T> gradient_of(int64_t size, std::integer_sequence<int, N...>) {
  static constexpr GradientTile<T> tiles[] = {gradient_tile<T, N + 1, V>...};
  return tiles[size - 1];
}

// As few tiles as can cover `total` pixels, as equal as they can be: calls work(first, size).
template <typename Work>
INLINE void in_tiles(int64_t total, int64_t most, Work work) {
  int64_t tiles = (total + most - 1) / most;
  for (int64_t t = 0; t < tiles; t++) {
    int64_t first = total * t / tiles;
    work(first, total * (t + 1) / tiles - first);
  }
}

template <typename T>
static void correlate_rows(const Window<T>& window, const T* x, const T* packed, T* y) {
  constexpr int64_t lanes = Lanes<T>::count;
  const int64_t entries = window.rows * window.columns;
  for (int64_t row = 0; row < window.y_rows; row++) {
    for (int64_t channel = 0; channel < window.channels; channel += 2 * lanes) {
      const T* k = packed + channel * entries;
      const int64_t left = window.channels - channel;
      const bool two = left > lanes;
      in_tiles(window.y_columns, two ? WIDE : NARROW, [&](int64_t first, int64_t size) {
        auto tile = two ? correlate_of<T, 2>(size, std::make_integer_sequence<int, WIDE>())
                        : correlate_of<T, 1>(size, std::make_integer_sequence<int, NARROW>());
        tile(window, x + row * window.x_next + first * window.x_step, k,
             y + row * window.y_row + first * window.y_step + channel, left);
      });
    }
  }
}

template <typename T>
static void gradient_row(const Pixels<T>& pixels, const T* x, const T* dy, T* dk, int64_t channel) {
  constexpr int64_t lanes = Lanes<T>::count;
  const bool two = pixels.channels - channel > lanes;
  in_tiles(pixels.entries, two ? WIDE : NARROW, [&](int64_t first, int64_t size) {
    auto tile = two ? gradient_of<T, 2>(size, std::make_integer_sequence<int, WIDE>())
                    : gradient_of<T, 1>(size, std::make_integer_sequence<int, NARROW>());
    tile(pixels, x + first, dy + channel, dk + first * pixels.channels + channel);
  });
}

template <typename T>
static constexpr Arithmetic<T> arithmetic = {Lanes<T>::count, correlate_rows<T>, gradient_row<T>};

#undef BYTES
#undef WIDE
#undef NARROW
