#include "examples/report/heatmap.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "autograd/error.h"
#include "examples/runs/terminal.h"
#include "examples/text/unicode.h"

namespace regrad::example {
namespace {

bool is_right_to_left(char32_t c) {
  return (c >= 0x590 && c <= 0x8FF) || (c >= 0xFB1D && c <= 0xFDFF) || (c >= 0xFE70 && c <= 0xFEFC);
}

bool is_letter(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= 0xC0 && c != 0xD7 && c != 0xF7 && c < 0x2000) || c >= 0x3041;
}

struct Label {
  static constexpr int max_columns = 24;
  std::string text;
  int columns = 0;
};

// The end of a word that byte pairs write out; where it is a token of its own it stays.
std::string_view without_word_end(std::string_view token) {
  constexpr std::string_view end = "</w>";
  if (token.size() > end.size() && token.ends_with(end)) token.remove_suffix(end.size());
  return token;
}

// Left-to-right marks keep right-to-left labels beside each other in their places.
Label label_of(const std::string& token) {
  Label label;
  bool right_to_left = false;
  for (const std::string text = printable(without_word_end(token));
       const std::string_view point : code_points(text)) {
    const int columns = display_columns(point);
    if (columns == 0 && label.text.empty()) {  // a mark needs something to stand on
      label.text = "◌";
      label.columns = 1;
    }
    right_to_left |= is_right_to_left(code_point_value(point));
    const bool cut = label.columns + columns > Label::max_columns;
    label.text += cut ? "…" : point == " " ? "␣" : point;
    label.columns += cut ? 1 : columns;
    if (cut) break;
  }
  if (right_to_left) label.text = "\u200E" + label.text + "\u200E";
  return label;
}

struct Labels {
  std::vector<Label> items;
  int columns = 1;  // of the widest
  explicit Labels(const std::vector<std::string>& tokens) {
    for (const std::string& token : tokens) {
      items.push_back(label_of(token));
      columns = std::max(columns, items.back().columns);
    }
  }
  int cell_columns(std::size_t i) const { return std::max(2, items[i].columns + (columns > 1)); }
};

// Whether more letters are written from right to left than from left to right.
bool reads_from_the_right(const std::vector<std::string>& tokens) {
  int balance = 0;
  for (const std::string& token : tokens) {
    for (const std::string_view point : code_points(token)) {
      const char32_t c = code_point_value(point);
      balance += is_right_to_left(c) ? 1 : is_letter(c) ? -1 : 0;
    }
  }
  return balance > 0;
}

std::string padded(const Label& label, int columns, bool to_the_right) {
  const std::string space(static_cast<std::size_t>(std::max(0, columns - label.columns)), ' ');
  return to_the_right ? space + label.text : label.text + space;
}

std::string cell(float weight, int columns, bool colour) {
  static constexpr std::array<int, 13> ramp = {234, 17, 18,  19,  26,  32, 38,
                                               44,  80, 123, 159, 195, 231};
  static constexpr std::array<const char*, 5> shades = {" ", "░", "▒", "▓", "█"};
  const auto width = static_cast<std::size_t>(columns);
  if (std::isnan(weight)) return (colour ? "\x1b[0m?" : "?") + std::string(width - 1, ' ');
  const float bounded = std::clamp(weight, 0.0f, 1.0f);
  if (colour) {
    const auto step = static_cast<std::size_t>(std::lround(bounded * (ramp.size() - 1)));
    return fmt::format("\x1b[48;5;{}m{}", ramp.at(step), std::string(width, ' '));
  }
  const auto step = static_cast<std::size_t>(std::lround(bounded * (shades.size() - 1)));
  if (step == 0) return "·" + std::string(width - 1, ' ');
  std::string text;
  for (std::size_t i = 0; i < width; ++i) text += shades.at(step);
  return text;
}

std::string escaped(std::string_view text) {
  static constexpr std::string_view names[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
  std::string result;
  for (const char c : printable(text)) {
    const std::size_t which = std::string_view("&<>\"'").find(c);
    result += which == std::string_view::npos ? std::string_view(&c, 1) : names[which];
  }
  return result;
}

constexpr int cell_size = 26;              // pixels
constexpr double pixels_per_column = 7.6;  // of the label font

struct MapLayout {
  int left, top, across, down, width, height;
  bool slanted, mirrored;
  int column(std::size_t s) const {
    const int offset = static_cast<int>(s) * cell_size;
    return mirrored ? left + across - cell_size - offset : left + offset;
  }
};

MapLayout layout_of(const AttentionMap& map, const Labels& source, const Labels& target) {
  const auto pixels = [](int columns) { return static_cast<int>(columns * pixels_per_column); };
  const bool slanted = source.columns > 3;
  const int left = std::max(48, pixels(target.columns) + 18);
  const int top = slanted ? std::max(34, static_cast<int>(pixels(source.columns) * 0.82) + 18) : 30;
  const int overhang = slanted ? static_cast<int>(pixels(source.columns) * 0.58) : 0;
  const int across = static_cast<int>(source.items.size()) * cell_size;
  const int down = static_cast<int>(target.items.size()) * cell_size;
  return {left,
          top,
          across,
          down,
          left + across + overhang + 8,
          top + down + 8,
          slanted,
          reads_from_the_right(map.source)};
}

std::string column_labels(const Labels& source, const MapLayout& layout) {
  std::string svg;
  for (std::size_t s = 0; s < source.items.size(); ++s) {
    const int x = layout.column(s) + cell_size / 2;
    const std::string place =
        layout.slanted
            ? fmt::format("transform=\"translate({} {})rotate(-55)\"", x + 3, layout.top - 6)
            : fmt::format("x=\"{}\" y=\"{}\" text-anchor=\"middle\"", x, layout.top - 8);
    svg += fmt::format("<text {}>{}</text>\n", place, escaped(source.items[s].text));
  }
  return svg;
}

// Opaque greys, black for 1: some printers and converters get transparency wrong.
std::string cells_of_row(const AttentionMap& map, std::size_t t, const MapLayout& layout) {
  const int y = layout.top + static_cast<int>(t) * cell_size;
  std::string svg;
  for (std::size_t s = 0; s < map.source.size(); ++s) {
    const float weight = map.weights[t * map.source.size() + s];
    const bool known = !std::isnan(weight);
    const auto grey =
        static_cast<int>(std::lround(255 * (1 - (known ? std::clamp(weight, 0.0f, 1.0f) : 0.0f))));
    svg += fmt::format(
        "<rect x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{2}\" fill=\"#{3:02x}{3:02x}{3:02x}\">"
        "<title>{4} → {5}: {6}</title></rect>\n",
        layout.column(s), y, cell_size, grey, escaped(map.source[s]), escaped(map.target[t]),
        known ? fmt::format("{:.6g}", weight) : "not a number");
    if (!known) {
      svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">?</text>\n",
                         layout.column(s) + cell_size / 2, y + 18);
    }
  }
  return svg;
}

// Hairlines between the cells, so that a white one can be counted, and a frame around all.
std::string grid_lines(const MapLayout& layout) {
  std::string path;
  for (int x = layout.left + cell_size; x < layout.left + layout.across; x += cell_size) {
    path += fmt::format("M{} {}v{}", x, layout.top, layout.down);
  }
  for (int y = layout.top + cell_size; y < layout.top + layout.down; y += cell_size) {
    path += fmt::format("M{} {}h{}", layout.left, y, layout.across);
  }
  return fmt::format(
      "<path d=\"{}\" fill=\"none\" stroke=\"#999999\" stroke-width=\"0.4\"/>\n"
      "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#000000\"/>\n",
      path, layout.left, layout.top, layout.across, layout.down);
}

// The source tokens [first, last) as one grid.
std::string band(const AttentionMap& map, const Labels& source, const Labels& target,
                 std::size_t first, std::size_t last, bool colour) {
  std::string text(static_cast<std::size_t>(target.columns) + 1, ' ');
  for (std::size_t s = first; s < last; ++s) {
    text += padded(source.items[s], source.cell_columns(s), false);
  }
  text += '\n';
  for (std::size_t t = 0; t < target.items.size(); ++t) {
    text += padded(target.items[t], target.columns, true) + ' ';
    for (std::size_t s = first; s < last; ++s) {
      text += cell(map.weights[t * source.items.size() + s], source.cell_columns(s), colour);
    }
    text += colour ? "\x1b[0m\n" : "\n";
  }
  return text;
}

}  // namespace

void check_map(const AttentionMap& map) {
  const std::size_t expected = map.source.size() * map.target.size();
  if (map.weights.size() != expected) {
    throw Error(
        fmt::format("attention map \"{}\": {} weights; {} target x {} source tokens need {}",
                    map.title, map.weights.size(), map.target.size(), map.source.size(), expected));
  }
  for (const std::vector<std::string>* tokens : {&map.source, &map.target}) {
    for (const std::string& token : *tokens) code_points(token);  // throws
  }
}

std::string to_terminal(const AttentionMap& map, bool colour, int width) {
  check_map(map);
  const Labels source(map.source), target(map.target);
  std::string text = map.title.empty() ? "" : printable(map.title) + '\n';
  for (std::size_t first = 0, last; first < map.source.size(); first = last) {
    int room = width - target.columns - 1;
    for (last = first; last < map.source.size(); ++last) {
      room -= source.cell_columns(last);
      if (room < 0 && last > first) break;
    }
    text += (first > 0 ? "\n" : "") + band(map, source, target, first, last, colour);
  }
  return text;
}

std::string to_svg(const AttentionMap& map) {
  check_map(map);
  const Labels source(map.source), target(map.target);
  const MapLayout layout = layout_of(map, source, target);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" role=\"img\" font-size=\"13\" font-family=\"sans-serif\" "
      "fill=\"#000000\">\n<title>{2}</title>\n<rect fill=\"#ffffff\" width=\"100%\" "
      "height=\"100%\"/>\n",
      layout.width, layout.height, escaped(map.title.empty() ? "Attention" : map.title));
  svg += column_labels(source, layout);
  for (std::size_t t = 0; t < map.target.size(); ++t) {
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", layout.left - 8,
                       layout.top + static_cast<int>(t) * cell_size + 18,
                       escaped(target.items[t].text)) +
           cells_of_row(map, t, layout);
  }
  return svg + grid_lines(layout) + "</svg>\n";
}

}  // namespace regrad::example
