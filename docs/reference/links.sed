# SPDX-License-Identifier: Apache-2.0
# Links of the pages to files that are no part of the reference lead from build/docs/html to the source tree.
s,\]\((\.\./)?((examples|tests|benchmarks|cmake|packaging|include)/[^)#]*\.(cpp|cmake|hpp|h|c|csv)|LICENSE|CITATION\.cff|include|include/[^)#.]*|CMakeLists\.txt|packaging/(vcpkg|conan)[^)#]*)\),](../../../\2),g
s,\]\(((performance|distributed)\.json)\),](../../../docs/\1),g
s,\[([^]]*)\]\((\.\./)?((examples/(language_model|lora)|tests/golden|packaging)/README\.md)\),<a href="../../../\3">\1</a>,g
# Doxygen gives headings names of its own: a link to one leads to its page.
s,\]\((docs/|\.\./)?([A-Za-z0-9-]+\.md)#[^)]*\),](\1\2),g
# A formula is a block of math on GitHub, and one between \f[ and \f] for doxygen.
/^```math$/,/^```$/{
  s,^```math$,\\f[,
  s,^```$,\\f],
}
