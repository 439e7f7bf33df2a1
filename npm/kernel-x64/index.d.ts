/** The compressed kernel, for the Linux boot protocol. */
export const bzImage: URL;
/** The same kernel as an ELF file without symbols: starts by PVH, with nothing to unpack. */
export const vmlinux: URL;
/** The configuration that it was built with. */
export const config: URL;
/** A JSON file: the release, the source package, the patches, the compiler, and the sums of the files. */
export const provenance: URL;
