#include "autograd/trace/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "autograd/text.h"
#include "autograd/trace/call_stack.h"
#include "autograd/trace/formula.h"
#include "trace_page_parts.h"

namespace regrad {
namespace {

using Text = fmt::memory_buffer;

template <class... Args>
void add(Text& text, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(text), format, std::forward<Args>(args)...);
}

// A JSON string that is safe to embed in HTML: "<" is escaped.
std::string quoted(const std::string& raw) {
  std::string text = "\"";
  for (const char c : printable(raw)) {
    if (c == '"' || c == '\\') text += '\\';
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text + "\"";
}

// For source lines: printable() would escape a tab.
std::string quoted_line(std::string line) {
  for (size_t at; (at = line.find('\t')) != std::string::npos;) line.replace(at, 1, "  ");
  return quoted(line);
}

template <class List, class Write>
void add_list(Text& text, const List& list, const Write& write) {
  text.push_back('[');
  bool first = true;
  for (const auto& one : list) {
    if (!std::exchange(first, false)) text.push_back(',');
    write(one);
  }
  text.push_back(']');
}

void add_number(Text& text, DType dtype, double number) {
  if (std::isnan(number)) return add(text, "\"nan\"");
  if (std::isinf(number)) return add(text, "\"{}\"", number > 0 ? "inf" : "-inf");
  switch (dtype) {
    case DType::boolean:
      return add(text, "{}", number != 0);
    case DType::int64:
      return add(text, "{}", static_cast<int64_t>(number));
    case DType::float32:
      return add(text, "{}", static_cast<float>(number));
    case DType::float64:
      return add(text, "{}", number);
  }
}

// How much is written: the first level at which the text fits, or else the last.
struct Detail {
  size_t max_whole;  // elements; of larger tensors, statistics
  bool maps;         // and of those of more than RecordedValue::max_whole, a map and the first row
};
constexpr Detail levels[] = {{256, true}, {256, false}, {64, false}, {8, false}, {0, false}};
constexpr size_t max_bytes = size_t{4} << 20;

void add_value(Text& text, const RecordedValue& value, Detail detail) {
  if (value.is_whole && (value.numbers.size() <= detail.max_whole || value.numbers.size() == 1)) {
    add(text, "{{\"v\":");
    add_list(text, value.numbers, [&](double one) { add_number(text, value.dtype, one); });
    return text.push_back('}');
  }
  add(text, "{{\"mean\":");
  add_number(text, float64, value.mean);
  for (const auto& [name, number] :
       {std::pair{"min", value.min}, {"max", value.max}, {"norm", value.norm}}) {
    add(text, ",\"{}\":", name);
    const bool is_element = name[1] != 'o';
    add_number(text, is_element ? value.dtype : float64, number);
  }
  add(text, ",\"nan\":{},\"inf\":{}", value.nan, value.inf);
  if (!value.is_whole && detail.maps) {
    add(text, ",\"rows\":{},\"columns\":{},\"low\":", value.rows, value.columns);
    add_number(text, float64, value.low);
    add(text, ",\"high\":");
    add_number(text, float64, value.high);
    add(text, ",\"map\":[{}],\"first\":", fmt::join(value.map, ","));
    add_list(text, value.numbers, [&](double one) { add_number(text, value.dtype, one); });
  }
  text.push_back('}');
}

// Frames and stacks, each once, and the source lines around the program's own frames.
class Places {
 public:
  explicit Places(const Recording& recording) {
    for (const RecordedOp& op : recording.ops) add_site(op.site);
    if (recording.failed) add_site(recording.failed->site);
  }
  int stack(CallSite site) const { return sites_.at(site); }
  bool has_lines() const { return has_lines_; }

  void write(Text& text) const {
    add(text, ",\n\"frames\":");
    add_list(text, frames_, [&](const Frame& frame) {
      add(text, "{{\"f\":{},\"file\":{},\"line\":{}}}", quoted(frame.function),
          quoted(shown_file(frame.file)), frame.line);
    });
    add(text, ",\n\"stacks\":");
    add_list(text, stacks_,
             [&](const std::vector<int>& stack) { add(text, "[{}]", fmt::join(stack, ",")); });
    add(text, ",\n\"user\":[{}],\n\"sources\":{{", fmt::join(users_, ","));
    const char* before_file = "";
    for (const auto& [file, lines] : lines_) write_source(text, before_file, file, lines);
    text.push_back('}');
  }

 private:
  void add_site(CallSite site) {
    if (sites_.contains(site)) return;
    sites_[site] = static_cast<int>(stacks_.size());
    const std::vector<Frame> frames = frames_of(site);
    std::vector<int> indices;
    for (const Frame& frame : frames) {
      const auto found = std::find(frames_.begin(), frames_.end(), frame);
      indices.push_back(static_cast<int>(found - frames_.begin()));
      if (found == frames_.end()) frames_.push_back(frame);
    }
    stacks_.push_back(indices);
    users_.push_back(user_frame(frames));
    if (users_.back() < 0) return;
    const Frame& user = frames[static_cast<size_t>(users_.back())];
    if (user.line == 0) return;
    has_lines_ = true;
    for (int line = user.line - 1; line <= user.line + 1; ++line) lines_[user.file].insert(line);
  }

  static void write_source(Text& text, const char*& separator, const std::string& file,
                           const std::set<int>& wanted) {
    std::ifstream source(file);
    if (!source) return;
    add(text, "{}{}:{{", std::exchange(separator, ","), quoted(shown_file(file)));
    const char* comma = "";
    std::string line;
    for (int number = 1; std::getline(source, line) && number <= *wanted.rbegin(); ++number) {
      if (!wanted.contains(number)) continue;
      add(text, "{}\"{}\":{}", std::exchange(comma, ","), number, quoted_line(line));
    }
    text.push_back('}');
  }

  std::map<CallSite, int> sites_;
  std::vector<Frame> frames_;
  std::vector<std::vector<int>> stacks_;
  std::vector<int> users_;
  std::map<std::string, std::set<int>> lines_;
  bool has_lines_ = false;
};

void add_tensors(Text& text, const Recording& recording, Detail detail) {
  add(text, ",\n\"tensors\":");
  add_list(text, recording.tensors, [&](const RecordedTensor& one) {
    add(text, "\n{{\"name\":{},\"shape\":[{}],\"dtype\":\"{}\",\"dims\":", quoted(one.name),
        fmt::join(one.shape, ","), name(one.dtype));
    add_list(text, one.dims, [&](const std::string& dim) { add(text, "{}", quoted(dim)); });
    add(text, ",\"op\":{},\"grad\":{},\"value\":", one.op, one.requires_grad);
    add_value(text, one.value, detail);
    add(text, ",\"gradient\":");
    one.gradient ? add_value(text, *one.gradient, detail) : add(text, "null");
    text.push_back('}');
  });
}

void add_ops(Text& text, const Recording& recording, const Places& places) {
  add(text, ",\n\"ops\":");
  add_list(text, recording.ops, [&](const RecordedOp& one) {
    add(text, "\n{{\"name\":{},\"stack\":{},\"inputs\":[{}],\"output\":{},\"why\":{},\"step\":{}",
        quoted(one.name), places.stack(one.site), fmt::join(one.inputs, ","), one.output,
        quoted(one.unrecorded), one.step);
    const Formula formula = formula_of(one.name);
    add(text, ",\"formula\":{},\"parameters\":", quoted(formula.text));
    add_list(text, formula.parameters, [&](const auto& word) { add(text, "{}", quoted(word)); });
    add(text, ",\"derivatives\":");
    add_list(text, formula.derivatives, [&](const auto& word) { add(text, "{}", quoted(word)); });
    text.push_back('}');
  });
}

void add_backward(Text& text, const Recording& recording, Detail detail) {
  add(text, ",\n\"backward\":");
  add_list(text, recording.backward, [&](const RecordedStep& step) {
    add(text, "\n{{\"op\":{},\"name\":{},\"gradient\":", step.op, quoted(step.name));
    add_value(text, step.gradient, detail);
    add(text, ",\"gives\":");
    add_list(text, step.contributions, [&](const RecordedContribution& one) {
      add(text, "{{\"input\":{},\"tensor\":{},\"nth\":{},\"of\":{},\"addend\":", one.input,
          one.tensor, one.nth, recording.tensors[static_cast<size_t>(one.tensor)].uses);
      add_value(text, one.addend, detail);
      add(text, ",\"sum\":");
      add_value(text, one.sum, detail);
      text.push_back('}');
    });
    add(text, ",\"ops\":");
    add_list(text, step.own_ops, [&](const std::string& op) { add(text, "{}", quoted(op)); });
    text.push_back('}');
  });
}

std::vector<std::string> notes_of(const Recording& recording, const Places& places, size_t level) {
  std::vector<std::string> notes;
  if (!recording.ops.empty() && !places.has_lines()) {
    notes.emplace_back("The program has no debug information: compile with -g to see its lines.");
  }
  if (level > 0)
    notes.emplace_back("To keep this trace small, large tensors have no maps and no first rows.");
  if (level > 1) {
    notes.push_back(
        fmt::format("To keep it small, tensors of more than {} elements have statistics only.",
                    std::max<size_t>(1, levels[level].max_whole)));
  }
  if (recording.ops_left_out > 0) {
    notes.push_back(fmt::format("{} more ops were computed; only the first {} are shown.",
                                recording.ops_left_out, recording.ops.size()));
  }
  return notes;
}

std::string json_at(const Recording& recording, const Places& places, size_t level) {
  Text text;
  add(text, "{{\"format\":1,\n\"program\":{},\n\"arguments\":", quoted(recording.program));
  add_list(text, recording.arguments, [&](const auto& word) { add(text, "{}", quoted(word)); });
  add(text, ",\n\"step\":{},\n\"complete\":{},\n\"ended\":{},\n\"numbers\":{},\n\"notes\":",
      recording.step, recording.ended.empty(), quoted(recording.ended), level == 0);
  add_list(text, notes_of(recording, places, level),
           [&](const auto& note) { add(text, "{}", quoted(note)); });
  places.write(text);
  add_tensors(text, recording, levels[level]);
  add_ops(text, recording, places);
  add(text, ",\n\"failed\":");
  if (const auto& failed = recording.failed) {
    add(text, "{{\"text\":{},\"name\":{},\"stack\":{}}}", quoted(failed->text),
        quoted(failed->text.substr(0, failed->text.find(':'))), places.stack(failed->site));
  } else {
    add(text, "null");
  }
  add_backward(text, recording, levels[level]);
  add(text, "}}\n");
  return fmt::to_string(text);
}

}  // namespace

std::string json_of(const Recording& recording) {
  const Places places(recording);
  std::string text;
  for (size_t level = 0; level < std::size(levels); ++level) {
    text = json_at(recording, places, level);
    if (text.size() <= max_bytes) break;
  }
  return text;
}

std::string page_of(const Recording& recording) {
  std::string page = trace_page_parts[0];
  for (const char c : printable(recording.program)) {
    page += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  }
  page += trace_page_parts[1];
  page += json_of(recording);
  for (size_t i = 2; i < std::size(trace_page_parts); ++i) page += trace_page_parts[i];
  return page;
}

}  // namespace regrad
