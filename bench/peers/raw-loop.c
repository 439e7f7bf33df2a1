/*
 * The exit benchmarks' cross-check in C: the same guest programs and the same blocks as the control inside the
 * addon (crates/vmm/src/measure), written again, so that a mistake in one of them shows as a difference.
 *
 *   cc -O2 -Wall -Wextra -o raw-loop raw-loop.c
 *   ./raw-loop pioOut            400 blocks, then their distribution as JSON
 *   ./raw-loop pioOut --serve    for the bench: each line on stdin asks for one block (after one that is not
 *                                timed), each line on stdout is its nanoseconds; the first line is the guest
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { EXITS = 64, BLOCKS = 400, WARM_UP = 50, PAGE = 4096 };
enum { GUEST = 0x1000, PORT = 0x10, MARKER = 0x11 };

struct kind {
	const char *name;
	uint8_t access[3];
	size_t length;
};

static const struct kind kinds[] = {
	{ "pioOut", { 0xe6, PORT }, 2 },          /* out 0x10, al */
	{ "pioIn", { 0xe4, PORT }, 2 },           /* in al, 0x10 */
	{ "mmioRead", { 0xa0, 0x00, 0x90 }, 3 },  /* mov al, [0x9000] */
	{ "mmioWrite", { 0xa2, 0x00, 0x90 }, 3 }, /* mov [0x9000], al */
	{ "hlt", { 0xf4 }, 1 },                   /* hlt */
	{ "ioeventfd", { 0xe6, PORT }, 2 },       /* out 0x10, al */
	{ "coalesced", { 0xe6, PORT }, 2 },       /* out 0x10, al */
};

static int vcpu, event = -1, coalesced;
static struct kvm_run *run;
static volatile uint64_t sink;

static int must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

/* 63 times the access, the marker (out 0x11, al), a jump back to the start. */
static size_t write_guest(const struct kind *kind, uint8_t *to)
{
	size_t at = 0;
	for (int i = 0; i < EXITS - 1; i++, at += kind->length)
		memcpy(to + at, kind->access, kind->length);
	to[at++] = 0xe6;
	to[at++] = MARKER;
	to[at++] = 0xe9;
	int16_t back = (int16_t)-(at + 2);
	memcpy(to + at, &back, 2);
	return at + 2;
}

static size_t make_machine(const struct kind *kind, uint8_t **guest)
{
	int kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	int vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	uint8_t *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(memory == MAP_FAILED ? -1 : 0, "mmap");
	size_t length = write_guest(kind, memory);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = GUEST, .memory_size = PAGE, .userspace_addr = (uintptr_t)memory,
	};
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	if (!strcmp(kind->name, "ioeventfd")) {
		event = must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
		struct kvm_ioeventfd at = { .addr = PORT, .len = 1, .fd = event, .flags = KVM_IOEVENTFD_FLAG_PIO };
		must(ioctl(vm, KVM_IOEVENTFD, &at), "KVM_IOEVENTFD");
	}
	if (!strcmp(kind->name, "coalesced")) {
		struct kvm_coalesced_mmio_zone zone = { .addr = PORT, .size = 1, .pio = 1 };
		must(ioctl(vm, KVM_REGISTER_COALESCED_MMIO, &zone), "KVM_REGISTER_COALESCED_MMIO");
		coalesced = 1;
	}
	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	size_t size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	must(run == MAP_FAILED ? -1 : 0, "mmap of kvm_run");
	struct kvm_sregs sregs;
	must(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	must(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	struct kvm_regs regs = { .rip = GUEST, .rflags = 2 };
	must(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
	*guest = memory;
	return length;
}

static void drain_ring(void)
{
	struct kvm_coalesced_mmio_ring *ring = (void *)((uint8_t *)run + KVM_COALESCED_MMIO_PAGE_OFFSET * PAGE);
	const unsigned entries = (PAGE - sizeof *ring) / sizeof(struct kvm_coalesced_mmio);
	unsigned last = *(volatile uint32_t *)&ring->last % entries, first = ring->first % entries;
	for (; first != last; first = (first + 1) % entries)
		sink += ring->coalesced_mmio[first].data[0];
	*(volatile uint32_t *)&ring->first = first;
}

static void run_to_marker(void)
{
	for (;;) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			must(-1, "KVM_RUN");
		}
		uint8_t *data;
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			data = (uint8_t *)run + run->io.data_offset;
			if (run->io.direction == KVM_EXIT_IO_IN) {
				*data = 0x5a;
				break;
			}
			sink += *data;
			if (run->io.port == MARKER)
				return;
			break;
		case KVM_EXIT_MMIO:
			if (run->mmio.is_write)
				sink += run->mmio.data[0];
			else
				run->mmio.data[0] = 0x5a;
			break;
		case KVM_EXIT_HLT:
			sink++;
			break;
		default:
			fprintf(stderr, "the guest left with exit %u\n", run->exit_reason);
			exit(1);
		}
	}
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

/* Nanoseconds for the exits to the next marker, and for taking what the kernel kept. */
static uint64_t block(void)
{
	uint64_t start = now(), count;
	run_to_marker();
	if (event >= 0 && read(event, &count, 8) == 8)
		sink += count;
	if (coalesced)
		drain_ring();
	return now() - start;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void print_report(const char *name, uint64_t *blocks)
{
	qsort(blocks, BLOCKS, sizeof *blocks, ascending);
	printf("{\"peer\":\"c\",\"exit\":\"%s\",\"p50Ns\":%.1f,\"p90Ns\":%.1f,\"p99Ns\":%.1f,\"histogram\":[", name,
	       (double)blocks[BLOCKS / 2] / EXITS, (double)blocks[BLOCKS * 9 / 10] / EXITS,
	       (double)blocks[BLOCKS * 99 / 100] / EXITS);
	/* Bins 100 ns wide, the empty ones left out: their start, and how many blocks' mean exit fell into them. */
	for (int i = 0, first = 1; i < BLOCKS; first = 0) {
		uint64_t bin = blocks[i] / EXITS / 100, count = 0;
		for (; i < BLOCKS && blocks[i] / EXITS / 100 == bin; i++)
			count++;
		printf("%s{\"fromNs\":%llu,\"toNs\":%llu,\"count\":%llu}", first ? "" : ",",
		       (unsigned long long)bin * 100, (unsigned long long)(bin + 1) * 100, (unsigned long long)count);
	}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	const struct kind *kind = NULL;
	for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(argv[1], kinds[i].name))
			kind = &kinds[i];
	if (!kind) {
		fprintf(stderr, "usage: %s pioOut|pioIn|mmioRead|mmioWrite|hlt|ioeventfd|coalesced [--serve]\n", argv[0]);
		return 2;
	}
	uint8_t *guest;
	size_t length = make_machine(kind, &guest);
	if (argc > 2 && !strcmp(argv[2], "--serve")) {
		for (size_t i = 0; i < length; i++)
			printf("%02x", guest[i]);
		printf("\n");
		fflush(stdout);
		for (int c; (c = getchar()) != EOF;) {
			if (c != '\n')
				continue;
			block();
			printf("%llu\n", (unsigned long long)block());
			fflush(stdout);
		}
		return 0;
	}
	static uint64_t blocks[BLOCKS];
	for (int i = 0; i < WARM_UP; i++)
		block();
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = block();
	print_report(kind->name, blocks);
	return 0;
}
