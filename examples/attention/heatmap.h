// Pictures of what a model attends to: on the terminal, as SVG, and as one page to open in a
// browser.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace regrad::example {

// weights[t * source.size() + s] in [0, 1]: how much target token t draws from source token s.
struct AttentionMap {
  std::vector<std::string> source, target;
  std::vector<float> weights;
  std::string title;
};

// All of these throw Error where weights does not hold target.size() * source.size() values or a
// token is not UTF-8. A weight that is NaN is drawn as "?", one outside [0, 1] as the nearer bound.

// A grid with a row for each target token and a column for each source token, cut into bands of
// source tokens that fit in `width` terminal columns. With colour, the background shows the weight
// (256 colours); without, shade blocks do. Wide (Chinese, Japanese, Korean) characters take two
// columns; right-to-left tokens are fenced with marks, so that they stay in their places.
std::string to_terminal(const AttentionMap& map, bool colour, int width);

// A self-contained SVG image with the tokens on the axes and each weight as a tooltip.
std::string to_svg(const AttentionMap& map);

using Curve = std::vector<std::pair<int64_t, double>>;           // (step, value)
using Facts = std::vector<std::pair<std::string, std::string>>;  // (what, value), as text

// One HTML page that opens offline, in a light or a dark room, on a phone: the facts, the curves of
// the loss and of the accuracy in [0, 1], and the maps. It refers to nothing outside itself and
// runs no script. Empty parts are left out; values that are not finite leave gaps in a curve.
std::string to_html(const std::vector<AttentionMap>& maps, const Curve& losses,
                    const Curve& accuracies, const std::string& title = "Attention",
                    const Facts& facts = {});

}  // namespace regrad::example
