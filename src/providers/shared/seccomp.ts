/**
 * The system calls a sandbox may make: default deny (ENOSYS, so that programs fall back as on an older kernel), an
 * allow-list near Docker's, and by name what must answer EPERM. 32-bit and x32 calls kill: no other architecture is listed.
 * Format: https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
 */

interface Arg {
  index: number;
  value: number;
  valueTwo?: number;
  op: "SCMP_CMP_EQ" | "SCMP_CMP_MASKED_EQ";
}

interface Rule {
  names: string[];
  action: "SCMP_ACT_ALLOW" | "SCMP_ACT_ERRNO";
  errnoRet?: number;
  args?: Arg[];
}

export interface SeccompProfile {
  defaultAction: "SCMP_ACT_ERRNO";
  defaultErrnoRet: number;
  architectures: string[];
  syscalls: Rule[];
}

const EPERM = 1;
const ENOSYS = 38;

const ALLOWED = `accept accept4 access adjtimex alarm arch_prctl bind brk capget capset chdir chmod chown clock_getres
clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1
epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64
fallocate fchdir fchmod fchmodat fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
fstatfs fsync ftruncate futex futex_waitv futimesat getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups
getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit get_robust_list
getrusage getsid getsockname getsockopt get_thread_area gettid gettimeofday getuid getxattr inotify_add_watch inotify_init
inotify_init1 inotify_rm_watch ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self
lchown lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat madvise membarrier memfd_create
mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedsend mq_unlink mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap nanosleep newfstatat open openat
openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv
preadv2 prlimit64 process_mrelease pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recvfrom
recvmmsg recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction
rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_getaffinity
sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop
sendfile sendmmsg sendmsg sendto setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid
setresuid setreuid setrlimit set_robust_list setsid setsockopt set_thread_area set_tid_address setuid setxattr shmat shmctl
shmdt shmget shutdown sigaltstack signalfd signalfd4 splice stat statfs statx symlink symlinkat sync sync_file_range syncfs
sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork vmsplice
wait4 waitid write writev`.split(/\s+/);

/** Refused with EPERM rather than ENOSYS: programs should see that they may not, not that the kernel is old. */
const REFUSED = `acct add_key bpf chroot clock_adjtime clock_settime delete_module fanotify_init fanotify_mark finit_module
fsconfig fsmount fsopen fspick get_mempolicy init_module ioperm iopl io_uring_enter io_uring_register io_uring_setup kcmp
kexec_file_load kexec_load keyctl lookup_dcookie mbind memfd_secret migrate_pages modify_ldt mount mount_setattr move_mount
move_pages name_to_handle_at open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_madvise quotactl
quotactl_fd reboot request_key setdomainname set_mempolicy sethostname setns settimeofday swapoff swapon syslog umount2
unshare uselib userfaultfd ustat vhangup`.split(/\s+/);

/** Let a process read and change others of its user: for debuggers, where the profile asks. */
const TRACING = ["ptrace", "process_vm_readv", "process_vm_writev"];

/** CLONE_NEWTIME is 0x80; the others CLONE_NEWNS 0x20000, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. NEWTIME shares its bit with the exit signal, so only clone3 could ask for it. */
const CLONE_NEW_ANY = 0x7e020000;

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;

/** personality(2): Linux, its query form, and what `setarch -R` and old programs set. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

const equal = (index: number, value: number): Arg => ({ index, value, op: "SCMP_CMP_EQ" });
const masked = (index: number, mask: number, value: number): Arg => ({ index, value: mask, valueTwo: value, op: "SCMP_CMP_MASKED_EQ" });

/** The fewest prefixes of one byte that cover every value but `holes`: seccomp has no "not equal to any of". */
function bytePrefixesWithout(holes: readonly number[]): { mask: number; value: number }[] {
  const prefixes: { mask: number; value: number }[] = [];
  const descend = (length: number, prefix: number): void => {
    const shift = 8 - length;
    if (!holes.some((hole) => hole >>> shift === prefix)) prefixes.push({ mask: (0xff << shift) & 0xff, value: prefix << shift });
    else if (length < 8) for (const bit of [0, 1]) descend(length + 1, prefix * 2 + bit);
  };
  descend(0, 0);
  return prefixes;
}

/**
 * All ioctls but: TIOCSTI (0x5412: types into the terminal it shares), TIOCLINUX (0x541c), and the file attribute calls
 * whose type byte is 'f' (0x66) or 'X' (0x58) -- flags and project ids, by which a quota could be left -- of which those
 * that only read, and the extent map, stay.
 */
function ioctlRules(): Rule[] {
  const allow = (arg: Arg): Rule => ({ names: ["ioctl"], action: "SCMP_ACT_ALLOW", args: [arg] });
  const [tty, attributes, extended] = [0x54, 0x66, 0x58];
  const [tiocsti, tioclinux] = [0x12, 0x1c];
  const [fsGetXattr, getFlags, fiemap] = [0x801c581f, 0x80086601, 0xc020660b];
  return [
    ...bytePrefixesWithout([tty, attributes, extended]).map(({ mask, value }) => allow(masked(1, mask << 8, value << 8))),
    ...bytePrefixesWithout([tiocsti, tioclinux]).map(({ mask, value }) => allow(masked(1, 0xff00 | mask, (tty << 8) | value))),
    ...[fsGetXattr, getFlags, fiemap].map((request) => allow(masked(1, 0xffffffff, request))),
  ];
}

export interface SeccompOptions {
  readonly ptrace: boolean;
  readonly arch: string;
  /** false: no file is made or changed to run as its owner or group. */
  readonly setId?: boolean;
}

/** Calls that make or change a file's mode, by the argument that has it. Of openat2 it stands in memory: programs fall back to openat. */
const MODES: readonly (readonly [name: string, index: number])[] = [
  ["chmod", 1], ["fchmod", 1], ["fchmodat", 2], ["creat", 1], ["mknod", 1], ["mknodat", 2],
]; // prettier-ignore
const OPENS = [
  ["open", 1],
  ["openat", 2],
] as const;
const SET_ID = 0o6000;
const CREATES = 0o20000100;

/** Those calls without the set-id bits; a mode of open counts only where a file may be made. */
function withoutSetId(): Rule[] {
  const rule = (name: string, ...args: Arg[]): Rule => ({ names: [name], action: "SCMP_ACT_ALLOW", args });
  const refuse = (name: string, ...args: Arg[]): Rule => ({ ...rule(name, ...args), action: "SCMP_ACT_ERRNO", errnoRet: EPERM });
  return [
    ...MODES.flatMap(([name, index]) => [
      rule(name, masked(index, SET_ID, 0)),
      ...[0o2000, 0o4000, 0o6000].map((bits) => refuse(name, masked(index, SET_ID, bits))),
    ]),
    ...OPENS.flatMap(([name, index]) => [rule(name, masked(index, CREATES, 0)), rule(name, masked(index + 1, SET_ID, 0))]),
  ];
}

const RULED_BY_MODE = ["openat2", ...MODES.map(([name]) => name), ...OPENS.map(([name]) => name)];

/** The profile for this machine's architecture (x64 or arm64). */
export function seccompProfile(options: SeccompOptions): SeccompProfile {
  const plain = options.setId === false ? ALLOWED.filter((name) => !RULED_BY_MODE.includes(name)) : ALLOWED;
  const allow = (names: string[], args?: Arg[]): Rule => ({ names, action: "SCMP_ACT_ALLOW", ...(args === undefined ? {} : { args }) });
  const refuse = (names: string[], errnoRet: number): Rule => ({ names, action: "SCMP_ACT_ERRNO", errnoRet });
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: ENOSYS,
    architectures: [options.arch === "arm64" ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64"],
    syscalls: [
      allow(options.ptrace ? [...plain, ...TRACING] : plain),
      refuse(options.ptrace ? REFUSED : [...REFUSED, ...TRACING], EPERM),
      // Its flags stand in memory, where seccomp cannot look: libraries fall back to clone.
      refuse(["clone3"], ENOSYS),
      allow(["clone"], [masked(0, CLONE_NEW_ANY, 0)]),
      ...[AF_UNIX, AF_INET, AF_INET6].map((family) => allow(["socket"], [equal(0, family)])),
      allow(["socket"], [equal(0, AF_NETLINK), equal(2, NETLINK_ROUTE)]),
      allow(["socketpair"], [equal(0, AF_UNIX)]),
      ...PERSONALITIES.map((persona) => allow(["personality"], [equal(0, persona)])),
      ...ioctlRules(),
      ...(options.setId === false ? withoutSetId() : []),
    ],
  };
}
