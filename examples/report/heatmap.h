// Pictures of what a model attends to: on the terminal, and as SVG. The page with everything is
// page.h.
#pragma once

#include <string>
#include <vector>

namespace regrad::example {

// weights[t * source.size() + s] in [0, 1]: how much target token t draws from source token s.
struct AttentionMap {
  std::vector<std::string> source, target;
  std::vector<float> weights;
  std::string title;
};

// Throws Error where weights does not hold target.size() * source.size() values or a token is not
// UTF-8.
void check_map(const AttentionMap& map);

// These call check_map. A weight that is NaN is drawn as "?", one outside [0, 1] as the nearer
// bound; control characters of a token are written out, as \x1b.

// A grid with a row for each target token and a column for each source token, cut into bands of
// source tokens that fit in `width` terminal columns. With colour, the background shows the weight
// (256 colours); without, shade blocks do. Wide (Chinese, Japanese, Korean) characters take two
// columns; right-to-left tokens are fenced with marks, so that they stay in their places.
std::string to_terminal(const AttentionMap& map, bool colour, int width);

// A self-contained SVG image for a paper: the tokens on the axes, the weights in greys that print
// (black is 1), and each weight as a tooltip. A source that is written from right to left has its
// columns in that order.
std::string to_svg(const AttentionMap& map);

}  // namespace regrad::example
