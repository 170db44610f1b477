// Logarithm, sine and cosine after argument reduction, for T float or double. V is a SIMD vector
// (ops/cpu/math.h) or, for the random numbers of a GPU, a scalar: both give the same bits. V(T),
// multiply_add and polynomial come from V's backend.
#pragma once

namespace regrad::series {

// log((1 + f) * 2^exponent), for f in [-0.25, 0.5]
template <class T, class V>
[[gnu::always_inline]] constexpr V log_from_parts(V f, V exponent) {
  constexpr bool single = sizeof(T) == 4;
  // ln 2 in two parts. Both are positive: for an infinite exponent their products have the same
  // sign.
  const V high(static_cast<T>(single ? 0x1.62e4p-1 : 0x1.62e42fefa38p-1));
  const V low(static_cast<T>(single ? 0x1.7f7d1cf79abcap-20 : 0x1.ef35793c7673p-45));
  const V square = f * f;
  if constexpr (single) {
    const V series = polynomial(f, 0.33333449423842972, -0.25000096904011452, 0.19990845863122305,
                                -0.16647246222550601, 0.14478506529797677, -0.13162065999051756,
                                0.10464298777059638, -0.045079666354984194);
    const V tail = multiply_add(square * f, series, exponent * low);
    return multiply_add(exponent, high, f + multiply_add(square, V(T(-0.5)), tail));
  } else {
    // With s = f / (2 + f): log(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + R(s^2))).
    const V s = f / (V(T(2)) + f);
    const V z = s * s;
    const V series = z * polynomial(z, 0.66666666666666596, 0.40000000000056953,
                                    0.28571428555767669, 0.22222224303875691, 0.18181665510836736,
                                    0.15391123411388485, 0.13173412307690363, 0.13844275316920674);
    const V half = V(T(0.5)) * square;
    const V tail = multiply_add(s, half + series, exponent * low);
    return multiply_add(exponent, high, f - (half - tail));
  }
}

// The sine and cosine of r, where x = n pi/2 + r and |r| <= pi/4. The lowest bits of `shifted` are
// those of n: n mod 4 is the quadrant, which says which of the two belongs to x and with what sign.
template <class V>
struct SinCos {
  V shifted, sine, cosine;
};

template <class T, class V>
[[gnu::always_inline]] constexpr SinCos<V> reduced_sincos(V x) {
  constexpr bool single = sizeof(T) == 4;
  // 1.5 * 2^(fraction bits): adding it to a small number rounds that to an integer.
  const V shifter(static_cast<T>(single ? 0x1.8p23 : 0x1.8p52));
  const V shifted = multiply_add(x, V(T(0x1.45f306dc9c883p-1)), shifter);
  const V n = V(T(0)) - (shifted - shifter);
  // pi/2 in four parts (Cody and Waite). The first two products are exact, and the rounding error
  // of the third is added to the fourth.
  const V third(static_cast<T>(single ? 0x1.444p-24 : 0x1.1a6263314p-54));
  V remainder = multiply_add(n, V(static_cast<T>(single ? 0x1.92p+0 : 0x1.921fb544p+0)), x);
  remainder = multiply_add(n, V(static_cast<T>(single ? 0x1.fb4p-12 : 0x1.0b46p-34)), remainder);
  const V rounded = multiply_add(n, third, remainder);
  const V error = multiply_add(n, third, remainder - rounded);
  const V fourth(static_cast<T>(single ? 0x1.68c234c4c6629p-39 : 0x1.701b839a25205p-92));
  const V r = rounded + multiply_add(n, fourth, error);
  const V z = r * r;
  const V half = multiply_add(z, V(T(-0.5)), V(T(1)));
  if constexpr (single) {
    const V sine = polynomial(z, -0.16666666639559637, 0.0083333291439271601,
                              -0.00019839256617510856, 2.7175642311856794e-6);
    const V cosine = polynomial(z, 0.041666666619205496, -0.0013888883438520248,
                                2.47994364298361e-5, -2.7203305255818524e-7);
    return {shifted, multiply_add(r * z, sine, r), multiply_add(z * z, cosine, half)};
  } else {
    const V sine = polynomial(z, -0.16666666666666667, 0.0083333333333333215,
                              -0.00019841269841253601, 2.755731921342029e-6, -2.5052104708772917e-8,
                              1.6058340536677276e-10, -7.5773932738113013e-13);
    const V cosine =
        polynomial(z, 0.041666666666666667, -0.0013888888888888872, 2.4801587301569893e-5,
                   -2.7557319214683996e-7, 2.0876754209711376e-9, -1.1470275452591631e-11,
                   4.7373032148511847e-14);
    return {shifted, multiply_add(r * z, sine, r), multiply_add(z * z, cosine, half)};
  }
}

}  // namespace regrad::series
