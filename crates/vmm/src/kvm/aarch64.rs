//! What only aarch64 asks of the system: the width of addresses and the debug registers.

use super::KvmCore;
use crate::Error;

impl KvmCore {
    /// The largest size of a guest-physical address in bits (`KVM_CAP_ARM_VM_IPA_SIZE`), the number of hardware
    /// breakpoints and that of watchpoints; 0 where the host does not say.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Closed`](crate::ErrorCode::Closed).
    pub fn arm_limits(&self) -> Result<[u32; 3], Error> {
        self.with(|kvm| {
            let limits =
                [kvm.get_host_ipa_limit(), kvm.get_guest_debug_hw_bps(), kvm.get_guest_debug_hw_wps()];
            Ok(limits.map(|limit| u32::try_from(limit).unwrap_or(0)))
        })
    }
}
