/*
 * A library to be preloaded: makes the kernel of a test look worse than it is.
 *
 * VMHATCH_FAULTS   a list of NAME=ERRNO*TIMES or NAME=ERRNO*TIMES+SKIP, separated by commas: after SKIP calls
 *                  that go through, the next TIMES calls of that ioctl fail with that errno
 * VMHATCH_CAPS     a list of CAPABILITY=VALUE: what KVM_CHECK_EXTENSION says
 * VMHATCH_HOLE     ADDRESS*TIMES: the page of guest memory there cannot be reached until that many KVM_RUN failed
 * VMHATCH_OPEN     the errno with which /dev/kvm cannot be opened
 * VMHATCH_API      what KVM_GET_API_VERSION says
 * VMHATCH_NO_EXTERNAL_BUFFERS   set: addons find a Node-API without external buffers, as in Electron
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct { const char *name; unsigned long request; } requests[] = {
	{ "KVM_CREATE_VM", KVM_CREATE_VM },
	{ "KVM_CREATE_VCPU", KVM_CREATE_VCPU },
	{ "KVM_RUN", KVM_RUN },
	{ "KVM_SET_USER_MEMORY_REGION", KVM_SET_USER_MEMORY_REGION },
	{ "KVM_GET_REGS", KVM_GET_REGS },
	{ "KVM_GET_SUPPORTED_CPUID", KVM_GET_SUPPORTED_CPUID },
	{ "KVM_GET_VCPU_MMAP_SIZE", KVM_GET_VCPU_MMAP_SIZE },
};

enum { FAULTS = 16 };

static struct { unsigned long request; int error, times, skip; } faults[FAULTS];
static struct { unsigned long capability; int value; } caps[FAULTS];
static int fault_count, cap_count, api_version = -1;
static struct { unsigned long guest_address; void *page; int times; } hole;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A bus error that has nothing to do with guest memory, for whoever sends SIGUSR2. */
static void fault_on_purpose(int signal)
{
	(void)signal;
	int fd = syscall(SYS_memfd_create, "shrunk", 0);
	volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	(void)*page;
}

__attribute__((constructor)) static void read_environment(void)
{
	char name[64];
	const char *text = getenv("VMHATCH_FAULTS");
	int error, times, skip, used;
	while (text && fault_count < FAULTS && sscanf(text, "%63[A-Z_0-9]=%d*%d%n", name, &error, &times, &used) == 3) {
		text += used;
		skip = 0;
		if (*text == '+' && sscanf(text, "+%d%n", &skip, &used) == 1) text += used;
		for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
			if (strcmp(requests[i].name, name)) continue;
			faults[fault_count].request = requests[i].request;
			faults[fault_count].error = error;
			faults[fault_count].times = times;
			faults[fault_count++].skip = skip;
		}
		text = *text == ',' ? text + 1 : NULL;
	}
	text = getenv("VMHATCH_CAPS");
	unsigned long capability;
	int value;
	while (text && cap_count < FAULTS && sscanf(text, "%lu=%d%n", &capability, &value, &used) == 2) {
		text += used;
		caps[cap_count].capability = capability;
		caps[cap_count++].value = value;
		text = *text == ',' ? text + 1 : NULL;
	}
	if ((text = getenv("VMHATCH_HOLE"))) sscanf(text, "%lx*%d", &hole.guest_address, &hole.times);
	if ((text = getenv("VMHATCH_API"))) api_version = atoi(text);
	if (getenv("VMHATCH_BUS_ERROR")) signal(SIGUSR2, fault_on_purpose);
}

/* The errno that this call shall fail with, or 0. */
static int fault_of(unsigned long request)
{
	int error = 0;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < fault_count && !error; i++) {
		if (faults[i].request != request || faults[i].times == 0) continue;
		if (faults[i].skip > 0) {
			faults[i].skip--;
			break;
		}
		faults[i].times--;
		error = faults[i].error;
	}
	pthread_mutex_unlock(&lock);
	return error;
}

/* Takes the hole's page away when it becomes guest memory, and gives it back when runs have failed by it. */
static void after(unsigned long request, const struct kvm_userspace_memory_region *region, int result)
{
	int error = errno;
	if (request == KVM_SET_USER_MEMORY_REGION && result == 0 && hole.times > 0 &&
	    hole.guest_address - region->guest_phys_addr < region->memory_size) {
		hole.page = (void *)(region->userspace_addr + (hole.guest_address - region->guest_phys_addr));
		mprotect(hole.page, 4096, PROT_NONE);
	}
	if (request == KVM_RUN && result < 0 && error == EFAULT && hole.page && --hole.times == 0)
		mprotect(hole.page, 4096, PROT_READ | PROT_WRITE);
	errno = error;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	va_start(list, request);
	void *argument = va_arg(list, void *);
	va_end(list);
	/* Some callers pass the request as a signed int. */
	request = (uint32_t)request;
	int error = fault_of(request);
	if (error) {
		errno = error;
		return -1;
	}
	if (request == KVM_GET_API_VERSION && api_version >= 0) return api_version;
	for (int i = 0; request == KVM_CHECK_EXTENSION && i < cap_count; i++) {
		if (caps[i].capability != (unsigned long)argument) continue;
		errno = EINVAL;
		return caps[i].value;
	}
	int result = syscall(SYS_ioctl, fd, request, argument);
	after(request, argument, result);
	return result;
}

int open(const char *path, int flags, ...)
{
	va_list list;
	va_start(list, flags);
	int mode = va_arg(list, int);
	va_end(list);
	const char *error = getenv("VMHATCH_OPEN");
	if (error && strcmp(path, "/dev/kvm") == 0) {
		errno = atoi(error);
		return -1;
	}
	return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

/* Node-API's answer where V8 keeps all memory in a cage: napi_no_external_buffers_allowed. */
static int no_external_buffers(void)
{
	return 22;
}

/* Node's executable comes before preloaded libraries, so its function is replaced in the addon's own table. */
static void replace(struct link_map *map, const char *name, void *function)
{
	const ElfW(Sym) *symbols = NULL;
	const char *strings = NULL;
	const ElfW(Rela) *tables[2] = { NULL, NULL };
	size_t sizes[2] = { 0, 0 };
	for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
		switch (entry->d_tag) {
		case DT_SYMTAB: symbols = (void *)entry->d_un.d_ptr; break;
		case DT_STRTAB: strings = (void *)entry->d_un.d_ptr; break;
		case DT_RELA: tables[0] = (void *)entry->d_un.d_ptr; break;
		case DT_RELASZ: sizes[0] = entry->d_un.d_val; break;
		case DT_JMPREL: tables[1] = (void *)entry->d_un.d_ptr; break;
		case DT_PLTRELSZ: sizes[1] = entry->d_un.d_val; break;
		}
	}
	for (int table = 0; table < 2; table++) {
		for (size_t i = 0; i < sizes[table] / sizeof(ElfW(Rela)); i++) {
			const ElfW(Rela) *relocation = &tables[table][i];
			size_t symbol = ELF64_R_SYM(relocation->r_info);
			if (symbol == 0 || strcmp(strings + symbols[symbol].st_name, name)) continue;
			void **slot = (void **)(map->l_addr + relocation->r_offset);
			mprotect((void *)((uintptr_t)slot & ~4095ul), 4096, PROT_READ | PROT_WRITE);
			*slot = function;
		}
	}
}

void *dlopen(const char *file, int flags)
{
	void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
	void *handle = next(file, flags);
	struct link_map *map;
	if (handle && file && getenv("VMHATCH_NO_EXTERNAL_BUFFERS") && strstr(file, "vmhatch") &&
	    dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0)
		replace(map, "napi_create_external_arraybuffer", (void *)no_external_buffers);
	return handle;
}
