// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace language_model {

/// A table as Markdown writes it.
class MarkdownTable {
 public:
  using Cells = std::vector<std::string>;

  explicit MarkdownTable(const Cells& head) {
    add(head);
    add(Cells(head.size(), "---"));
  }

  void add(const Cells& cells) {
    text_ += '|';
    for (const std::string& cell : cells) text_ += ' ' + cell + " |";
    text_ += '\n';
  }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace language_model
