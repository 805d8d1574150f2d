// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace language_model {

/// The neurons of a gpt-oss: (up + 1) gate sigmoid(1.702 gate), behind clamps of gate from above and of up on
/// both sides.
struct GptOssNeurons {
  double limit = 7;   ///< of the clamps
  double offset = 1;  ///< added to up
};

}  // namespace language_model
