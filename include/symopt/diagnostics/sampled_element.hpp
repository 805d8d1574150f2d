// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/group/families.hpp>
#include <symopt/group/random.hpp>
#include <symopt/matrix.hpp>

#include <numeric>
#include <random>
#include <vector>

namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// The linear part of one element of a group on one side of a block, drawn so that acting with it is cheap:
/// permutations and signs of the lines, and for rotations two reflections at random hyperplanes, of all lines
/// or of those of each head. Cost: a few reads and writes of the block.
class SampledSide {
 public:
  SampledSide(const SideFamilies& families, Index lines, std::mt19937_64& random)
      : place_(static_cast<std::size_t>(lines)), sign_(place_.size(), 1.0) {
    std::iota(place_.begin(), place_.end(), Index{0});
    if (families.has_permutations()) {
      shuffle(place_, random);
    } else if (families.block_permutations > 0 && lines % families.block_permutations == 0) {
      permute_heads(families.block_permutations, random);
    }
    if (families.has_signs())
      for (double& sign : sign_) sign = (random() & 1) == 0 ? 1.0 : -1.0;
    const Index head = families.rotations ? lines : families.block_rotations;
    if (head > 1 && lines % head == 0) draw_reflections(head, random);
  }

  /// The block's rows are moved.
  Matrix<double> act_on_rows(const Matrix<double>& block) const {
    Matrix<double> moved(block.rows(), block.cols());
    for (std::size_t i = 0; i < place_.size(); ++i)
      moved.row(static_cast<Index>(i)) = sign_[i] * block.row(place_[i]);
    for (Index r = 0; r < normals_.cols(); ++r)
      for (Index first = 0; first < block.rows(); first += head_) {
        const auto normal = normals_.col(r).segment(first, head_);
        auto head = moved.middleRows(first, head_);
        const Matrix<double> along = normal.transpose() * head;
        head.noalias() -= 2.0 * normal * along;
      }
    return moved;
  }

 private:
  void permute_heads(Index size, std::mt19937_64& random) {
    std::vector<Index> heads(place_.size() / static_cast<std::size_t>(size));
    std::iota(heads.begin(), heads.end(), Index{0});
    shuffle(heads, random);
    for (std::size_t i = 0; i < place_.size(); ++i) {
      const Index line = static_cast<Index>(i);
      place_[i] = heads[static_cast<std::size_t>(line / size)] * size + line % size;
    }
  }

  void draw_reflections(Index head, std::mt19937_64& random) {
    head_ = head;
    normals_ = gaussian<double>({static_cast<Index>(place_.size()), 2}, random);
    for (Index r = 0; r < 2; ++r)
      for (Index first = 0; first < normals_.rows(); first += head)
        normals_.col(r).segment(first, head).normalize();
  }

  std::vector<Index> place_;
  std::vector<double> sign_;
  Eigen::MatrixXd normals_;
  Index head_ = 1;
};

/// An element of a group that acts on a block by isometries, as it acts on gradients, momenta and updates
/// alike.
class SampledElement {
 public:
  SampledElement(const Families& families, Shape shape, std::uint64_t seed)
      : random_(seed),
        left_(families.left, shape.rows, random_),
        right_(families.right, shape.cols, random_) {}

  Matrix<double> act(const Matrix<double>& block) const {
    return right_.act_on_rows(left_.act_on_rows(block).transpose()).transpose();
  }

 private:
  std::mt19937_64 random_;
  SampledSide left_, right_;
};

}}}  // namespace symopt::detail
