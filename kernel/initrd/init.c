// The first program of the minimal initrd: tells the host's boot timer that user space has begun, mounts what every
// program expects, runs /etc/rc, and ends the machine when that ends or somebody asks. It is linked with no library, so
// that the mark is the first thing that happens and costs nothing: the kernel loads one page of it.

// System call numbers: arch/x86/entry/syscalls/syscall_64.tbl, and for the others include/uapi/asm-generic/unistd.h.
#if defined(__x86_64__)
enum { READ = 0, MMAP = 9, RT_SIGPROCMASK = 14, GETPID = 39, CLONE = 56, EXECVE = 59, EXIT = 60, WAIT4 = 61 };
enum { RT_SIGTIMEDWAIT = 128, SYNC = 162, MOUNT = 165, REBOOT = 169, IOPERM = 173, OPENAT = 257, MKDIRAT = 258 };
#elif defined(__aarch64__)
enum { MKDIRAT = 34, MOUNT = 40, OPENAT = 56, READ = 63, SYNC = 81, EXIT = 93, RT_SIGPROCMASK = 135 };
enum { RT_SIGTIMEDWAIT = 137, REBOOT = 142, GETPID = 172, CLONE = 220, EXECVE = 221, MMAP = 222, WAIT4 = 260 };
#else
#error "written for x86-64 and aarch64"
#endif

// Other numbers, the same for both: include/uapi/linux/{fcntl,mount,reboot,wait}.h, and of include/uapi/asm-generic
// fcntl.h, mman-common.h and signal.h.
enum { AT_FDCWD = -100 };
enum { MS_NOSUID = 2, MS_NODEV = 4, MS_NOEXEC = 8, WNOHANG = 1 };
enum { O_RDWR = 02, O_SYNC = 04010000, PROT_WRITE = 2, MAP_SHARED = 1 };
enum { SIGUSR1 = 10, SIGUSR2 = 12, SIGTERM = 15, SIGCHLD = 17, SIG_BLOCK = 0 };
enum { POWER_OFF = 0x4321fedc, RESTART = 0x01234567 };
static const unsigned MAGIC1 = 0xfee1dead, MAGIC2 = 0x28121969, HALT = 0xcdef0123;

// The boot timer, as Firecracker has it: one byte with this value.
enum { MARK = 123 };

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#else
static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#endif

static const struct {
  const char *type, *target, *options;
  long flags;
} mounts[] = {
    {"devtmpfs", "/dev", 0, MS_NOSUID | MS_NOEXEC},
    {"proc", "/proc", 0, MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"sysfs", "/sys", 0, MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"devpts", "/dev/pts", "mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC},
    {"tmpfs", "/tmp", "mode=1777", MS_NOSUID | MS_NODEV},
};

static void mark_memory(long address) {
  long file = call(OPENAT, AT_FDCWD, (long)"/dev/mem", O_RDWR | O_SYNC, 0, 0, 0);
  long page = file < 0 ? file : call(MMAP, 0, 4096, PROT_WRITE, MAP_SHARED, file, address & -4096);
  if (page < 0 && page > -4096) return;
  *(volatile unsigned char *)(page + (address & 4095)) = MARK;
}

#if defined(__x86_64__)
// By a port, before anything else happens. A kernel without ioperm(2) may have /dev/mem: the timer listens there too.
enum { MARK_PORT = 0x3f0 };
static const long MARK_ADDRESS = 0xd0000000;

static int mark_early(void) {
  int may = call(IOPERM, MARK_PORT, 1, 1, 0, 0, 0) == 0;
  if (may) __asm__ volatile("outb %b0, %w1" : : "a"(MARK), "d"(MARK_PORT));
  return may;
}

static void mark_late(void) { mark_memory(MARK_ADDRESS); }
#else
// Where the device tree says: what is at an address differs by machine, and an access to nothing is an abort.
static int mark_early(void) { return 0; }

static void mark_late(void) {
  unsigned long address;
  long file = call(OPENAT, AT_FDCWD, (long)"/sys/firmware/devicetree/base/chosen/vmhatch,boot-timer", 0, 0, 0, 0);
  if (file < 0 || call(READ, file, (long)&address, sizeof address, 0, 0, 0) != sizeof address) return;
  mark_memory((long)__builtin_bswap64(address));
}
#endif

static void end(unsigned how) {
  call(SYNC, 0, 0, 0, 0, 0, 0);
  call(REBOOT, MAGIC1, MAGIC2, how, 0, 0, 0);
}

// Children of programs that ended become ours: they are waited for, or they would stay for ever.
static void end_with(long script) {
  unsigned long signals = 1ul << (SIGUSR1 - 1) | 1ul << (SIGUSR2 - 1) | 1ul << (SIGTERM - 1) | 1ul << (SIGCHLD - 1);
  call(RT_SIGPROCMASK, SIG_BLOCK, (long)&signals, 0, sizeof signals, 0, 0);
  for (;;) {
    for (long child; (child = call(WAIT4, -1, 0, WNOHANG, 0, 0, 0)) > 0;)
      if (child == script) end(POWER_OFF);
    // What busybox's halt, poweroff and reboot send.
    switch (call(RT_SIGTIMEDWAIT, (long)&signals, 0, 0, sizeof signals, 0, 0)) {
    case SIGUSR1: end(HALT); break;
    case SIGUSR2: end(POWER_OFF); break;
    case SIGTERM: end(RESTART); break;
    }
  }
}

// `stack` is what the kernel leaves there: argc, argv, 0, envp, 0 (System V ABI, AMD64 supplement, 3.4.1; the same for
// AArch64).
__attribute__((used)) static void start(long *stack) {
  // Anywhere else than in a guest it would mount over things, and at last switch the machine off.
  if (call(GETPID, 0, 0, 0, 0, 0, 0) != 1) call(EXIT, 1, 0, 0, 0, 0, 0);
  int marked = mark_early();

  for (unsigned i = 0; i < sizeof mounts / sizeof *mounts; i++) {
    const char *type = mounts[i].type, *target = mounts[i].target;
    call(MKDIRAT, AT_FDCWD, (long)target, 0755, 0, 0, 0);
    call(MOUNT, (long)type, (long)target, (long)type, mounts[i].flags, (long)mounts[i].options, 0);
  }
  if (!marked) mark_late();

  long script = call(CLONE, SIGCHLD, 0, 0, 0, 0, 0);
  if (script != 0) end_with(script);
  const char *arguments[] = {"sh", "/etc/rc", 0};
  call(EXECVE, (long)"/bin/busybox", (long)arguments, (long)(stack + *stack + 2), 0, 0, 0);
  call(EXIT, 127, 0, 0, 0, 0, 0);
}

// The first instruction: a call of start() with the stack as the kernel left it, aligned as functions expect it.
#if defined(__x86_64__)
__asm__(".globl _start\n"
        "_start:\n"
        "  xor %ebp, %ebp\n"
        "  mov %rsp, %rdi\n"
        "  and $-16, %rsp\n"
        "  call start\n");
#else
__asm__(".globl _start\n"
        "_start:\n"
        "  mov x29, xzr\n"
        "  mov x30, xzr\n"
        "  mov x0, sp\n"
        "  bl start\n");
#endif
