#pragma once
// Several observers of the same prefills.

#include <vector>

#include "base/error.h"
#include "decode/observer.h"

namespace tide {

/// Passes on what is seen of prefills. All of its observers want the same prompt rows (asserted), and nothing
/// of decoding.
class PrefillObservers final : public DecodeObserver {
 public:
  explicit PrefillObservers(std::vector<DecodeObserver*> observers) : observers_(std::move(observers)) {}

  ObserverWants wants() const override {
    ObserverWants all = observers_.front()->wants();
    for (const DecodeObserver* observer : observers_) {
      const ObserverWants wants = observer->wants();
      TIDE_ASSERT(wants.prefill_rows == all.prefill_rows);
      all.prefill_keys = all.prefill_keys || wants.prefill_keys;
      all.prefill_hidden = all.prefill_hidden || wants.prefill_hidden;
    }
    return all;
  }
  void on_prefill(const PrefillEvent& event) override {
    for (DecodeObserver* observer : observers_) observer->on_prefill(event);
  }
  void on_prefill_layer(const PrefillLayerEvent& event) override {
    for (DecodeObserver* observer : observers_) observer->on_prefill_layer(event);
  }
  void on_layer(const LayerEvent&) override {}
  void on_step(const StepEvent&) override {}

 private:
  std::vector<DecodeObserver*> observers_;
};

}  // namespace tide
