"""What programs in a sandbox may ask of the kernel: our own list, in place of the engine's default.

Only what is named here is allowed; the rest is refused with EPERM. It is the engine's own choice and
stricter: no io_uring, no sockets but those of the Internet protocols, of this container and of
netlink, nothing that makes namespaces, no key rings, no bpf, no 32-bit programs. It is the same for
root inside, who gets no capability that would need more.

Sources: the kernel's system call tables (x86-64 and the generic one) and their manual pages; the
format is the engine's ("Seccomp security profiles for Docker"). A name the engine does not know is
one it does not allow. What is newer than the newest name is "not implemented" (ENOSYS) to programs,
which then do without.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

Rule = dict[str, Any]

FAMILIES = {
    "files": """
        access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat
        faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchown fchownat fcntl fdatasync flock
        fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 ioctl lchown link linkat
        lseek lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv
        preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename renameat
        renameat2 rmdir sendfile splice stat statfs statx symlink symlinkat sync sync_file_range
        syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev""",
    "attributes": """
        fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr
        lremovexattr lsetxattr removexattr setxattr""",
    "watching files": "inotify_add_watch inotify_init inotify_init1 inotify_rm_watch",
    "older asynchronous reading": "io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit",
    "memory": """
        brk madvise membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap msync
        munlock munlockall munmap remap_file_pages""",
    "processes": """
        arch_prctl capget capset execve execveat exit exit_group fork get_robust_list getpgid getpgrp
        getpid getppid getsid gettid kill pidfd_open pidfd_send_signal prctl ptrace restart_syscall
        rseq seccomp set_robust_list set_tid_address setpgid setsid tgkill tkill vfork wait4 waitid""",
    "turns and limits": """
        getcpu getpriority getrlimit getrusage ioprio_get ioprio_set prlimit64 sched_get_priority_max
        sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
        sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler
        sched_yield setpriority setrlimit times""",
    "signals": """
        pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
        rt_sigtimedwait rt_tgsigqueueinfo sigaltstack signalfd signalfd4""",
    "who one is": """
        getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid setfsuid setgid setgroups
        setregid setresgid setresuid setreuid setuid""",
    "time": """
        alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer
        time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
        timerfd_gettime timerfd_settime""",
    "waiting": """
        epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 futex
        futex_waitv poll ppoll pselect6 select""",
    "between processes": """
        mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv
        msgsnd pipe pipe2 semctl semget semop semtimedop shmat shmctl shmdt shmget""",
    "network": """
        accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg
        sendmmsg sendmsg sendto setsockopt shutdown""",
    "the system": "getrandom sysinfo uname",
}
"""System calls that are allowed whatever they are given."""

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET in clone's flags."""
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""As usual, as a 32-bit machine (0x8), as Linux 2.6 (0x20000), both, and the question which it is."""
ENOSYS = 38
ARCHITECTURES = ("X86_64", "AARCH64")
"""Each by itself, without the older ones such a machine can be, whose calls no filter can read fully."""


def profile() -> Rule:
    """The profile, as the engine takes it."""
    return {
        "defaultAction": "SCMP_ACT_ERRNO",  # EPERM
        "archMap": [{"architecture": f"SCMP_ARCH_{one}", "subArchitectures": []} for one in ARCHITECTURES],
        "syscalls": [
            _allow(*sorted({name for names in FAMILIES.values() for name in names.split()})),
            *(_allow("socket", equal=family) for family in (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)),
            _allow("socketpair", equal=AF_UNIX),
            *(_allow("personality", equal=kind) for kind in PERSONALITIES),
            _allow("clone", args=[_argument("SCMP_CMP_MASKED_EQ", NEW_NAMESPACES)]),
            # its flags are in memory, where no filter sees them; programs then use clone
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS, "args": []},
        ],
    }


@cache
def option() -> str:
    """The whole profile as one of the engine's security options."""
    return "seccomp=" + json.dumps(profile(), separators=(",", ":"))


def _allow(*names: str, equal: int | None = None, args: list[Rule] | None = None) -> Rule:
    """A rule that allows; with ``equal`` only where the first argument is that number, all 64 bits of it."""
    given = args or ([] if equal is None else [_argument("SCMP_CMP_EQ", equal)])
    return {"names": list(names), "action": "SCMP_ACT_ALLOW", "args": given}


def _argument(comparison: str, value: int) -> Rule:
    """The first argument compared; masked: those bits of it must all be 0."""
    return {"index": 0, "value": value, "valueTwo": 0, "op": comparison}
