#include "examples/attention/heatmap.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "autograd/error.h"
#include "examples/attention/progress.h"
#include "examples/attention/vocabulary.h"

namespace regrad::example {
namespace {

bool is_right_to_left(char32_t c) {
  return (c >= 0x590 && c <= 0x8FF) || (c >= 0xFB1D && c <= 0xFDFF) || (c >= 0xFE70 && c <= 0xFEFC);
}

struct Label {
  static constexpr int widest = 24;  // columns
  std::string text;
  int columns = 0;
};

// Left-to-right marks keep right-to-left labels beside each other in their places.
Label label_of(const std::string& token) {
  Label label;
  bool right_to_left = false;
  for (const std::string text = printable(token);
       const std::string_view point : code_points(text)) {
    const int columns = display_columns(point);
    right_to_left |= is_right_to_left(code_point_value(point));
    const bool cut = label.columns + columns > Label::widest;
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

std::string padded(const Label& label, int columns, bool to_the_right) {
  const std::string space(static_cast<std::size_t>(std::max(0, columns - label.columns)), ' ');
  return to_the_right ? space + label.text : label.text + space;
}

void check(const AttentionMap& map) {
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

// Shared by the page and by an image on its own. Names begin with "a-" to stay out of the way.
constexpr std::string_view map_style = R"(
:root{--ink:#1f2430;--soft:#6b7280;--accent:#1d4fd7;--bed:#f1f4f9;--paper:#fff;--line:#e3e7ee}
@media(prefers-color-scheme:dark){:root{
--ink:#e5e9f0;--soft:#98a2b3;--accent:#7fb0ff;--bed:#1b212c;--paper:#12161d;--line:#2a313d}}
.a-map text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--ink)}
.a-paper{fill:var(--paper)}.a-bed{fill:var(--bed)}.a-cells{fill:var(--accent)}
.a-map .a-value{display:none;fill:var(--accent);font-weight:600}
.a-row>g:hover .a-value{display:block}.a-row>g:hover rect{stroke:var(--ink);stroke-width:1.5}
.a-row:hover .a-label{fill:var(--accent);font-weight:600}
)";

constexpr int cell_size = 26;              // pixels, with a gap of 2
constexpr double pixels_per_column = 7.6;  // of the label font

struct MapLayout {
  int left, top, width, height;
  bool slanted;
};

MapLayout layout_of(const Labels& source, const Labels& target) {
  const auto pixels = [](int columns) { return static_cast<int>(columns * pixels_per_column); };
  const bool slanted = source.columns > 3;
  const int left = std::max(48, pixels(target.columns) + 18);
  const int top = slanted ? std::max(34, static_cast<int>(pixels(source.columns) * 0.82) + 18) : 30;
  const int overhang = slanted ? static_cast<int>(pixels(source.columns) * 0.58) : 0;
  const int across = static_cast<int>(source.items.size()) * cell_size;
  const int down = static_cast<int>(target.items.size()) * cell_size;
  return {left, top, left + across + overhang + 8, top + down + 8, slanted};
}

std::string column_labels(const Labels& source, const MapLayout& at) {
  std::string svg;
  for (std::size_t s = 0; s < source.items.size(); ++s) {
    const int x = at.left + static_cast<int>(s) * cell_size + cell_size / 2;
    const std::string place =
        at.slanted ? fmt::format("transform=\"translate({} {})rotate(-55)\"", x + 3, at.top - 6)
                   : fmt::format("x=\"{}\" y=\"{}\" text-anchor=\"middle\"", x, at.top - 8);
    svg += fmt::format("<text class=\"a-s{}\" {}>{}</text>\n", s, place,
                       escaped(source.items[s].text));
  }
  return svg;
}

std::string cells_of_row(const AttentionMap& map, std::size_t t, const MapLayout& at) {
  const int y = at.top + static_cast<int>(t) * cell_size;
  std::string svg;
  for (std::size_t s = 0; s < map.source.size(); ++s) {
    const float weight = map.weights[t * map.source.size() + s];
    const float opacity = std::isnan(weight) ? 0.0f : std::clamp(weight, 0.0f, 1.0f);
    const int x = at.left + static_cast<int>(s) * cell_size;
    svg += fmt::format(
        "<g class=\"a-c{}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"4\" "
        "fill-opacity=\"{:.3f}\"/><title>{} → {}: {}</title>"
        "<text class=\"a-value\" x=\"6\" y=\"{}\">{}</text></g>\n",
        s, x + 1, y + 1, cell_size - 2, cell_size - 2, opacity, escaped(map.source[s]),
        escaped(map.target[t]), std::isnan(weight) ? "not a number" : fmt::format("{:.6g}", weight),
        at.top - 8, std::isnan(weight) ? "?" : fmt::format("{:.3f}", weight));
    if (std::isnan(weight)) svg += fmt::format("<text x=\"{}\" y=\"{}\">?</text>\n", x + 9, y + 18);
  }
  return svg;
}

// Hovering over a cell marks the label of its column; the row needs no such list.
std::string column_rules(std::size_t columns) {
  std::string css;
  for (std::size_t s = 0; s < columns; ++s) {
    css += fmt::format("svg:has(.a-c{0}:hover) .a-s{0}{{fill:var(--accent);font-weight:600}}\n", s);
  }
  return css;
}

// Without a style it is part of a page that has one.
std::string map_svg(const AttentionMap& map, const std::string& style) {
  check(map);
  const Labels source(map.source), target(map.target);
  const MapLayout at = layout_of(source, target);
  std::string svg = fmt::format(
      "<svg class=\"a-map\"{3} width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" "
      "font-size=\"13\" font-family=\"sans-serif\" fill=\"#1f2430\">\n<title>{2}</title>\n",
      at.width, at.height, escaped(map.title.empty() ? "Attention" : map.title),
      style.empty() ? "" : " xmlns=\"http://www.w3.org/2000/svg\"");
  if (!style.empty()) {
    svg += "<style>" + style +
           "</style>\n<rect class=\"a-paper\" fill=\"#fff\" width=\"100%\" height=\"100%\"/>\n";
  }
  svg += column_labels(source, at);
  svg += fmt::format(
      "<rect class=\"a-bed\" fill=\"#f1f4f9\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" "
      "rx=\"6\"/>\n<g class=\"a-cells\" fill=\"#1d4fd7\">\n",
      at.left - 1, at.top - 1, map.source.size() * cell_size + 2,
      map.target.size() * cell_size + 2);
  for (std::size_t t = 0; t < map.target.size(); ++t) {
    svg += fmt::format(
        "<g class=\"a-row\"><text class=\"a-label\" fill=\"#1f2430\" x=\"{}\" y=\"{}\" "
        "text-anchor=\"end\">{}</text>\n{}</g>\n",
        at.left - 8, at.top + static_cast<int>(t) * cell_size + 18, escaped(target.items[t].text),
        cells_of_row(map, t, at));
  }
  return svg + "</g>\n</svg>\n";
}

constexpr std::string_view page_style = R"(
:root{color-scheme:light dark}*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 20px 64px}h1{font-size:28px;line-height:1.2;letter-spacing:-.02em;margin:0 0 24px}
h2{font-size:18px;margin:48px 0 4px}p{color:var(--soft);margin:0 0 20px;max-width:68ch}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,230px),1fr));
gap:16px 32px;margin:0 0 40px}dt{color:var(--soft);font-size:13px}
dd{margin:0;font-size:15px;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
figure{margin:0;min-width:0}figcaption{font-weight:600;margin:0 0 8px;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:32px}
figcaption span{color:var(--soft);font-weight:400;margin-left:.4em}
.chart{display:block;width:100%;height:auto}.chart text{font-size:12px;fill:var(--soft)}
.chart line{stroke:var(--line)}.chart circle{fill:var(--accent)}
.chart polyline{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}
.chart .point{opacity:0}.chart .point:hover,.chart .point:last-child{opacity:1}
.maps{display:flex;flex-wrap:wrap;gap:40px 48px;align-items:flex-start}
.maps figure{max-width:100%}.scroll{overflow-x:auto}.a-map{display:block}
)";

struct Axis {
  double low, high;
  Axis(double first, double last)
      : low(first), high(last > first ? last : first + std::max(1.0, std::abs(first))) {}
  double place(double value, double from, double to) const {
    return from + (value - low) / (high - low) * (to - from);
  }
  // Round numbers, three to six of them.
  std::vector<double> ticks() const {
    const double raw = (high - low) / 4, power = std::pow(10, std::floor(std::log10(raw)));
    double step = 10 * power;
    for (const double nice : {5.0, 2.5, 2.0, 1.0}) step = raw <= nice * power ? nice * power : step;
    std::vector<double> result;
    for (int i = 0; i < 6; ++i) {
      const double tick = (std::ceil(low / step) + i) * step;
      if (tick <= high + step * 1e-9) result.push_back(tick);
    }
    return result;
  }
};

struct Frame {
  static constexpr double left = 52, right = 432, top = 12, bottom = 212, width = 440, height = 240;
  Axis x, y;
  bool percent;
  double across(double step) const { return x.place(step, left, right); }
  double up(double value) const { return y.place(value, bottom, top); }
  std::string text(double value) const {
    return percent ? fmt::format("{:.4g}%", value * 100) : fmt::format("{:.4g}", value);
  }
};

std::string grid(const Frame& frame) {
  std::string svg;
  for (const double tick : frame.y.ticks()) {
    svg += fmt::format(
        "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        frame.left, frame.right, frame.up(tick), frame.left - 8, frame.up(tick) + 4,
        frame.text(tick));
  }
  for (const double tick : frame.x.ticks()) {
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.6g}</text>\n",
                       std::min(frame.across(tick), frame.width - 20), frame.bottom + 20, tick);
  }
  return svg;
}

std::string lines_and_points(const Curve& points, const Frame& frame) {
  std::string line, dots;
  bool inside = false;
  for (const auto& [step, value] : points) {
    if (!std::isfinite(value)) {
      if (inside) line += "\"/>\n";
      inside = false;
      continue;
    }
    const double x = frame.across(static_cast<double>(step)), y = frame.up(value);
    line += fmt::format("{}{:.1f},{:.1f} ", inside ? "" : "<polyline points=\"", x, y);
    inside = true;
    dots += fmt::format(
        "<circle class=\"point\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"><title>step {}: {}</title>"
        "</circle>\n",
        x, y, step, frame.text(value));
  }
  return line + (inside ? "\"/>\n" : "") + dots;
}

std::string chart(const std::string& name, const Curve& curve, bool percent) {
  const std::size_t stride = curve.size() / 300 + 1;  // at most 300 points
  Curve points;
  for (std::size_t i = (curve.size() - 1) % stride; i < curve.size(); i += stride) {
    points.push_back(curve[i]);
  }
  double low = 0, high = percent ? 1 : 0;
  const Curve::value_type* last = nullptr;
  for (const auto& point : points) {
    if (!std::isfinite(point.second)) continue;
    low = std::min(low, point.second);
    high = std::max(high, point.second);
    last = &point;
  }
  const auto first_step = static_cast<double>(curve.front().first);
  const auto last_step = static_cast<double>(curve.back().first);
  const bool from_zero = first_step > 0 && first_step < 0.1 * last_step;
  const Frame frame{Axis(from_zero ? 0 : first_step, last_step), Axis(low, high), percent};
  return fmt::format(
      "<figure><figcaption>{}{}</figcaption>\n<svg class=\"chart\" viewBox=\"0 0 {} {}\" "
      "role=\"img\" aria-label=\"{} by step\">\n{}{}</svg></figure>\n",
      name,
      last ? fmt::format(" <span>{} at step {}</span>", frame.text(last->second), last->first) : "",
      frame.width, frame.height, name, grid(frame), lines_and_points(points, frame));
}

std::string facts_list(const Facts& facts) {
  std::string html = "<dl>\n";
  for (const auto& [what, value] : facts) {
    html += "<div><dt>" + escaped(what) + "</dt><dd>" + escaped(value) + "</dd></div>\n";
  }
  return html + "</dl>\n";
}

std::string maps_section(const std::vector<AttentionMap>& maps) {
  if (maps.empty()) return {};
  std::string html =
      "<h2>What it attends to</h2>\n<p>Each row is a token that was written, each column one that "
      "was read. The stronger the colour, the more the row drew from that column; point at a cell, "
      "or touch it, for its weight.</p>\n<div class=\"maps\">\n";
  for (const AttentionMap& map : maps) {
    html += "<figure><figcaption>" + escaped(map.title) + "</figcaption><div class=\"scroll\">\n" +
            map_svg(map, "") + "</div></figure>\n";
  }
  return html + "</div>\n";
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

std::string to_terminal(const AttentionMap& map, bool colour, int width) {
  check(map);
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
  return map_svg(map, std::string(map_style) + column_rules(map.source.size()));
}

std::string to_html(const std::vector<AttentionMap>& maps, const Curve& losses,
                    const Curve& accuracies, const std::string& title, const Facts& facts) {
  std::size_t columns = 0;
  for (const AttentionMap& map : maps) columns = std::max(columns, map.source.size());
  std::string html =
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none';style-src 'unsafe-inline'\">\n";
  html += "<title>" + escaped(title) + "</title>\n<style>" + std::string(page_style) +
          std::string(map_style) + column_rules(columns) + "</style>\n<main>\n<h1>" +
          escaped(title) + "</h1>\n" + (facts.empty() ? "" : facts_list(facts));
  if (!losses.empty() || !accuracies.empty()) {
    html += "<div class=\"charts\">\n";
    if (!losses.empty()) html += chart("Loss", losses, false);
    if (!accuracies.empty()) html += chart("Accuracy", accuracies, true);
    html += "</div>\n";
  }
  return html + maps_section(maps) + "</main>\n</html>\n";
}

}  // namespace regrad::example
