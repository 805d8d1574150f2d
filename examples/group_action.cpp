// SPDX-License-Identifier: Apache-2.0
// Draws docs/group-action.svg: one block as groups move it, and the steps that rules make for each. Every
// cell is computed; so is the line under each block, which says whether the rule commutes with the move.
//   group_action             prints the picture
//   group_action FILE.svg    exits with 1 unless it shows what the library computes now
#include <symopt/symopt.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <vector>

using namespace symopt;

namespace {

constexpr Index rows = 5, cols = 6;
using Block = Matrix<double>;
using Gradients = std::vector<Block>;

/// Gradients of an embedding of five tokens over a training: the first token is frequent, the last is rare,
/// and the gradients of the second are mostly noise.
Gradients gradients() {
  std::mt19937_64 random(5);
  const Block mean = gaussian<double>({rows, cols}, random);
  const std::array<double, rows> size{4, 1.2, 2, 0.8, 0.3}, noise{0.5, 4, 1, 0.5, 0.5};
  Gradients all;
  for (int step = 0; step < 30; ++step) {
    Block g = gaussian<double>({rows, cols}, random);
    for (Index i = 0; i < rows; ++i) {
      const auto k = static_cast<std::size_t>(i);
      g.row(i) = size[k] * (mean.row(i) + noise[k] * g.row(i));
    }
    all.push_back(g);
  }
  return all;
}

/// A way to describe the same model otherwise, as it moves gradients and steps.
struct Move {
  std::string name, formula;
  std::function<Block(const Block&)> gradient, step;
  std::string when_respected = "moves along";  ///< the words for a rule that commutes with the move
  std::array<int, rows> order{1, 2, 3, 4, 5};  ///< the names of the rows, from above
};

std::vector<Move> moves() {
  const std::array<int, rows> order{4, 1, 5, 3, 2};
  const auto renamed = [order](const Block& block) {
    Block moved = block;
    for (Index i = 0; i < rows; ++i) moved.row(i) = block.row(order[static_cast<std::size_t>(i)] - 1);
    return moved;
  };
  std::mt19937_64 random(3);
  const Block rotation = haar_orthogonal<double>(cols, random);
  const auto turned = [rotation](const Block& block) { return Block(block * rotation.transpose()); };
  // A part of the gradient that moves all rows alike. A softmax sends none: its loss does not see such a
  // step.
  const Block shift = Block::Ones(rows, 1) * (2 * gaussian<double>({1, cols}, random));
  const auto shifted = [shift](const Block& block) { return Block(block + shift); };
  const auto unmoved = [](const Block& block) { return block; };
  return {{"as it is", "M", unmoved, unmoved},
          {"rows renamed", "Π M", renamed, renamed, "moves along", order},
          {"columns turned", "M Rᵀ", turned, turned},
          {"shifted", "M + 1 aᵀ", shifted, unmoved, "unchanged"}};
}

/// A rule, from all gradients of a training to the direction of its last step.
struct Rule {
  std::string name, remark;
  std::function<Block(const Gradients&)> direction;
};

/// The state of a rule with a state after the gradients, and its last direction.
template <class Stateful>
Block last_direction(const Stateful& rule, const Gradients& all) {
  typename Stateful::template State<double> state(Shape{rows, cols});
  Block direction(rows, cols);
  for (const Block& gradient : all) rule(Block::Zero(rows, cols), gradient, state, direction);
  return direction;
}

std::vector<Rule> rules() {
  const auto momentum = [](const Gradients& all) {
    Block m = Block::Zero(rows, cols);
    for (const Block& gradient : all) m = 0.9 * m + 0.1 * gradient;
    return m;
  };
  const auto of_momentum = [momentum](auto map) {
    return [momentum, map](const Gradients& all) { return Block(map(momentum(all))); };
  };
  return {{"momentum M", "a mean of gradients", momentum},
          {"projection P", "subtracts the mean row", of_momentum(HorizontalProjection<Side::left>{})},
          {"row norm", "every row of length 1", of_momentum(RowNorm{})},
          {"P, row norm, P", "the update of LmHead", of_momentum(Update<LmHead>{})},
          {"second moments", "noisy rows move less",
           [](const Gradients& all) { return last_direction(Adaptive<Embedding>{}, all); }},
          {"polar factor", "singular values all 1", of_momentum(Update<HiddenMatrix>{})},
          {"AdamW", "each entry by itself",
           [](const Gradients& all) { return last_direction(AdamW{.beta2 = 0.99}, all); }}};
}

/// White for 0, orange for -1, blue for 1.
std::string colour(double value) {
  const double t = std::clamp(std::abs(value), 0.0, 1.0);
  const std::array<int, 3> full = value < 0 ? std::array{0xc4, 0x4e, 0x00} : std::array{0x0b, 0x4f, 0x9c};
  std::ostringstream text;
  text << '#' << std::hex << std::setfill('0');
  for (const int channel : full) text << std::setw(2) << std::lround(0xf7 + t * (channel - 0xf7));
  return text.str();
}

class Picture {
 public:
  static constexpr int width = 830, left = 172, across = 164, top = 62, down = 100, cell_width = 19,
                       cell_height = 13;

  std::string of(const std::vector<Rule>& all_rules, const std::vector<Move>& all_moves) {
    const int height = top + down * static_cast<int>(all_rules.size());
    out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width << "\" height=\"" << height
         << "\" viewBox=\"0 0 " << width << ' ' << height
         << "\" font-family=\"Helvetica,Arial,DejaVu Sans,sans-serif\" font-size=\"13\" fill=\"#20262e\">\n"
            "<!-- Written by examples/group_action.cpp -->\n"
            "<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#ffffff\"/>\n";
    for (std::size_t column = 0; column < all_moves.size(); ++column) {
      text(x(column), 26, all_moves[column].name, "font-weight=\"bold\"");
      text(x(column), 44, all_moves[column].formula, "fill=\"#5a6472\"");
    }
    const Gradients sent = gradients();
    for (std::size_t row = 0; row < all_rules.size(); ++row) {
      const Rule& rule = all_rules[row];
      const int y = top + down * static_cast<int>(row);
      text(14, y + 30, rule.name, "font-weight=\"bold\"");
      text(14, y + 48, rule.remark, "font-size=\"12\" fill=\"#5a6472\"");
      const Block alone = rule.direction(sent);
      for (std::size_t column = 0; column < all_moves.size(); ++column) {
        const Move& move = all_moves[column];
        Gradients moved;
        std::ranges::transform(sent, std::back_inserter(moved), move.gradient);
        const Block direction = rule.direction(moved);
        draw(x(column), y, direction, alone.cwiseAbs().maxCoeff(), move);
        if (column == 0 || row == 0) continue;
        const bool commutes = (direction - move.step(alone)).norm() < 1e-6 * alone.norm();
        text(x(column), y + 5 * cell_height + 17, commutes ? move.when_respected : "another step",
             commutes ? "font-size=\"12\" fill=\"#1a7f4b\""
                      : "font-size=\"12\" font-weight=\"bold\" fill=\"#b3261e\"");
      }
    }
    out_ << "</svg>\n";
    return out_.str();
  }

 private:
  static int x(std::size_t column) { return left + across * static_cast<int>(column) + 22; }

  void text(int at_x, int y, const std::string& words, const std::string& look) {
    out_ << "<text x=\"" << at_x << "\" y=\"" << y << "\" " << look << '>' << words << "</text>\n";
  }

  void draw(int at_x, int y, const Block& block, double largest, const Move& move) {
    for (Index i = 0; i < rows; ++i) {
      const int line = y + cell_height * static_cast<int>(i);
      text(at_x - 14, line + 11, std::to_string(move.order[static_cast<std::size_t>(i)]),
           "font-size=\"12\" fill=\"#5a6472\"");
      for (Index j = 0; j < cols; ++j)
        out_ << "<rect x=\"" << at_x + cell_width * static_cast<int>(j) << "\" y=\"" << line << "\" width=\""
             << cell_width << "\" height=\"" << cell_height << "\" fill=\"" << colour(block(i, j) / largest)
             << "\" stroke=\"#d5dae1\" stroke-width=\"0.5\"/>\n";
    }
  }

  std::ostringstream out_;
};

/// Tests whether two pictures differ by roundings of colours at most.
bool are_alike(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t at = 0; at < a.size(); ++at) {
    if (a[at] != b[at]) return false;
    if (a.compare(at, 2, "\"#") != 0) continue;
    for (std::size_t channel = at + 2; channel < at + 8; channel += 2) {
      const auto value = [&](const std::string& text) {
        return std::stoi(text.substr(channel, 2), nullptr, 16);
      };
      if (std::abs(value(a) - value(b)) > 2) return false;
    }
    at += 7;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string picture = Picture().of(rules(), moves());
  if (argc != 2) {
    std::cout << picture;
    return 0;
  }
  std::ifstream file(argv[1]);
  if (are_alike({std::istreambuf_iterator<char>(file), {}}, picture)) return 0;
  std::cerr << argv[1] << " is not what the library computes: group_action > " << argv[1] << '\n';
  return 1;
}
