//! Which interrupt line leads where (`KVM_SET_GSI_ROUTING`).

use super::VmCore;
use crate::error::IoctlResult;
use crate::{Error, ErrorCode};
use kvm_bindings::{
    KVM_CAP_IRQ_ROUTING, KvmIrqRouting, kvm_irq_routing_entry, kvm_irq_routing_entry__bindgen_ty_1,
};

/// Numbers of one route as it crosses to JavaScript: line, kind, flags, and four that the kind gives a meaning.
pub const ROUTE_NUMBERS: usize = 7;

impl VmCore {
    /// `KVM_SET_GSI_ROUTING`: replaces all routes. Each is [`ROUTE_NUMBERS`] numbers: line, `KVM_IRQ_ROUTING_…`, flags,
    /// and the first four words of the kind's structure.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Ioctl`] (`EINVAL` without interrupt controllers, or for a route that leads nowhere),
    /// [`ErrorCode::Unsupported`], [`ErrorCode::Closed`].
    pub fn set_gsi_routing(&self, numbers: &[u32]) -> Result<(), Error> {
        const SYSCALL: &str = "KVM_SET_GSI_ROUTING";
        let entries: Vec<_> = numbers
            .chunks_exact(ROUTE_NUMBERS)
            .map(|route| {
                let mut pad = [0; 8];
                pad[..4].copy_from_slice(&route[3..]);
                kvm_irq_routing_entry {
                    gsi: route[0],
                    type_: route[1],
                    flags: route[2],
                    u: kvm_irq_routing_entry__bindgen_ty_1 { pad },
                    ..Default::default()
                }
            })
            .collect();
        self.require(KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING")?;
        let routing = KvmIrqRouting::from_entries(&entries)
            .map_err(|_| Error::os(ErrorCode::Ioctl, SYSCALL, libc::E2BIG))?;
        self.with(|vm| vm.set_gsi_routing(&routing).ioctl(SYSCALL))
    }
}
