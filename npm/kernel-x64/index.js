// Where the kernel's files are. They are data: nothing here is loaded into the process.
export const bzImage = new URL('./bzImage', import.meta.url);
export const vmlinux = new URL('./vmlinux', import.meta.url);
export const config = new URL('./config', import.meta.url);
export const provenance = new URL('./provenance.json', import.meta.url);
