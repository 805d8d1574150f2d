# SPDX-License-Identifier: Apache-2.0
# Doxygen reads every header through this. Lines stay lines, so its warnings point to the right ones.

# Comments have their parts in a fixed order, each behind its word; on the page a part is a line of its own. So is
# what is set in by three spaces: values of an enumeration, lines of code.
/^ *\/\/\/ /{
  s,([.;)] |^ */// )(Action|Families|Random element|Generators|Largest group|Keeps horizontal blocks|Shapes|Units|Band|Cost|Cost and memory|Cost of the action|Memory|Errors|Source|Sources|Rates|Models|Laws|Ties|Minimal definition)( among the shipped ones|\, at compile time|\, at compile time and not)?:,\1<br><b>\2\3:</b>,g
  s,^( *///)   ( *)([^ ]),\1 <br>\&emsp;\2\3,
}

# What every model of a concept has is documented at the concept. The members that make a type a model get a
# sentence that leads there, instead of the same words in thirty headers.
s,^(  static constexpr (Families|auto) (families|factors)\b),  /** What the group or claim consists of; see SymmetryGroup and Families. */ \1,
s,^  (struct Element \{),  /** An element of the group; see SymmetryGroup. */ \1,
s,^  (static Element<Scalar> identity\(),  /** The element that moves nothing; see SymmetryGroup. */ \1,
s,^  (static Element<Scalar> compose\(),  /** g after h; see SymmetryGroup. */ \1,
s,^  (static Element<Scalar> inverse\(),  /** The element that undoes g; see SymmetryGroup. */ \1,
s,^  (static Element<Scalar> random\(),  /** A random element; see SymmetryGroup. */ \1,
s,^  (static std::vector<Element<Scalar>> generators\(),  /** Elements that make all others by composition; see SymmetryGroup. */ \1,
s,^  (static void act(_on_[a-z]+)?\(),  /** Moves a block of weights\, gradients or updates in place; see SymmetryGroup. */ \1,
s,^  (static void project\(),  /** The orthogonal projection onto the algebra\, in place; see PairAlgebra. */ \1,
s,^  (static bool factor\(),  /** F in the algebra with F^T F the positive definite element\, in place; see PairAlgebra. */ \1,
s,^  (static void require_size\(Index size\)),  /** Throws Error for a size without elements; see PairAlgebra. */ \1,
s,^  (static constexpr SideFamilies orthogonal\b),  /** The families that contain its orthogonal elements; see PairAlgebra. */ \1,
s,^  (static constexpr SideFamilies normaliser\b),  /** The families of the orthogonal matrices that map it to itself; see PairAlgebra. */ \1,

s,^(    using scalar_type\b),    /** The scalar that the element acts in. */ \1,

s,^  (using largest_group\b),  /** The claim: the largest group under which the map is equivariant; see Normalization. */ \1,
s,^  (static constexpr bool keeps_horizontal\(),  /** Whether horizontal blocks on that side give horizontal blocks; see Normalization. */ \1,
s,^  (using Workspace\b),  /** All memory that apply() works in. */ \1,
s,^  (static constexpr bool is_scale_free\b),  /** The map is of degree 0; see is_scale_free_v. */ \1,
s,^  (void options\(auto&& field\)),  /** Shows every option by its name: field("eps"\, eps). */ \1,
s,^  (void validate\(\) const),  /** Throws std::invalid_argument that names the option out of range. */ \1,
s,^  (Matrix<typename Derived::Scalar> operator\(\)\(const Eigen::MatrixBase<Derived>& block\) const),  /** The map of a block\, any dense Eigen expression\, as a new matrix. */ \1,
s,^  (void apply\(),  /** The same in place\, without memory of its own. */ \1,
s,^  ([A-Za-z_<>\, ().]+ mirrored\(\) const),  /** The map that does to the transposed block what this one does to the block. */ \1,
s,^  (friend [a-z ]*bool operator==\(),  /** Equal where all members are. */ \1,
s,^(constexpr const char\*|inline std::string) (to_string\(),/** The value as messages and plans print it. */ \1 \2,
