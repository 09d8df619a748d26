/**
 * The guard of `criu lazy-pages`, in Perl: nothing else on every Linux host can call ptrace(2).
 *
 * When the daemon dies, the kernel closes its userfaultfds and every page that is still missing reads as zeros. So the guard traces
 * it with PTRACE_O_TRACEEXIT: whatever ends it, SIGKILL included, it stops once more before its descriptors are closed, and is let
 * go only when the container is dead.
 *
 * INVARIANTS
 * - The daemon is traced before it becomes criu, so before it has been given a single userfaultfd.
 * - It is let go after an end that was not exit code 0 only when nothing of the container is left, or the gate has said no.
 * - `lost` and `drained` appear before the daemon is gone; without either, pages may be missing.
 * - Before the word `go` it ends with its worker; afterwards it needs nobody.
 * - A guard that dies takes the protection with it, not the daemon: pages keep coming.
 */

/**
 * `perl GUARD DIRECTORY GATE PROGRAM ARGUMENT…`: `go` on standard input starts it, `ready` or `failed` is its answer. What the guard
 * has as standard error the program has as descriptor 4.
 * `perl GUARD DIRECTORY GATE --attach PID` takes the place of a guard that was killed. Without arguments it says whether it can run.
 */
export const GUARD = String.raw`use strict; use warnings;
use Fcntl qw(O_WRONLY O_NONBLOCK);
use POSIX ();
my ($dir, $gate, @program) = @ARGV;

# Numbers of ptrace and wait4 (unistd.h of each architecture), then those of linux/ptrace.h and linux/wait.h.
my %numbers = (x86_64 => [101, 61], aarch64 => [117, 260], riscv64 => [117, 260], s390x => [26, 114], ppc64le => [26, 114]);
my ($ptrace, $wait4) = @{$numbers{(POSIX::uname())[4]} || die "not on this architecture\n"};
my ($CONT, $SEIZE, $MESSAGE, $TRACE_EXIT, $WALL) = (7, 0x4206, 0x4201, 0x40, 0x40000000);
my ($EVENT_EXIT, $EVENT_STOP) = (6, 128);
# Faults of its own, and what is told by the kernel (ALRM, CHLD, PIPE) reach the daemon; nobody's TERM or STOP does.
my %passed = map { $_ => 1 } POSIX::SIGILL, POSIX::SIGTRAP, POSIX::SIGABRT, POSIX::SIGBUS, POSIX::SIGFPE,
  POSIX::SIGSEGV, POSIX::SIGPIPE, POSIX::SIGALRM, POSIX::SIGCHLD;
$SIG{$_} = 'IGNORE' for qw(HUP INT QUIT TERM PIPE TSTP);
exit 0 if @program == 0;

sub text { open(my $file, '<', $_[0]) or return ''; local $/; return <$file> // '' }
sub put { my ($path, $text) = @_; open(my $file, '>', $path) or return 0; print $file $text; return close $file }
sub note { my ($name, $text) = @_; put("$dir/$name.new", $text) && rename("$dir/$name.new", "$dir/$name") or die "$dir/$name: $!\n" }

# Who runs out of memory should not be these two; without CAP_SYS_RESOURCE it cannot be asked for.
put("/proc/$$/oom_score_adj", '-1000');

my $teller;
my $pid = $program[0] eq '--attach' ? attach($program[1]) : launch();
open(STDIN, '<', '/dev/null'); open(STDOUT, '>', '/dev/null');

my $status_word = "\0" x 8;
while (syscall($wait4, $pid, $status_word, $WALL, 0) == $pid) {
  my $stopped = unpack('i', $status_word);
  last if ($stopped & 0xff) != 0x7f;
  my ($event, $signal) = ($stopped >> 16, ($stopped >> 8) & 0xff);
  ended() if $event == $EVENT_EXIT;
  syscall($ptrace, $CONT, $pid, 0, $event == 0 && $passed{$signal} ? $signal : 0);
}

sub attach {
  my ($pid) = @_;
  syscall($ptrace, $SEIZE, $pid + 0, 0, $TRACE_EXIT) == 0 or die "ptrace: $!\n";
  note('guard', text("/proc/$$/stat"));
  return $pid + 0;
}

sub launch {
  note('guard', text("/proc/$$/stat"));
  pipe(my $begin, my $go) or die; pipe(my $status, my $ready) or die;
  my $pid = fork() // die "fork: $!\n";
  become_the_daemon($begin, $go, $ready) if $pid == 0;
  close $ready; close $begin; open(STDERR, '>', '/dev/null');
  syscall($ptrace, $SEIZE, $pid, 0, $TRACE_EXIT) == 0 or do { kill 'KILL', $pid; die "ptrace: $!\n" };
  note('daemon', text("/proc/$pid/stat"));
  exit 1 if (<STDIN> // '') ne "go\n";
  # Whoever tells that the daemon listens must not be the one who waits for it.
  $teller = fork() // die "fork: $!\n";
  if ($teller == 0) {
    syswrite($go, '.'); close $go;
    syswrite(STDOUT, (sysread($status, my $byte, 1) // 0) == 1 ? "ready\n" : "failed\n");
    POSIX::_exit(0);
  }
  return $pid;
}

sub become_the_daemon {
  my ($begin, $go, $ready) = @_;
  $SIG{$_} = 'DEFAULT' for qw(HUP INT QUIT TERM PIPE TSTP);
  close $go;
  POSIX::_exit(1) unless (sysread($begin, my $byte, 1) // 0) == 1;
  open(STDIN, '<', '/dev/null'); open(STDOUT, '>', '/dev/null');
  POSIX::dup2(fileno($ready), 3);
  # Where pages come from another host: the way to them.
  POSIX::dup2(2, 4); open(STDERR, '>', '/dev/null');
  exec { $program[0] } @program or POSIX::_exit(127);
}

# The daemon stands in its exit, everything it holds still open.
sub ended {
  my $code = "\0" x 8;
  syscall($ptrace, $MESSAGE, $pid, 0, $code);
  $code = unpack('L!', $code);
  # A full disk must not end the guard here: what it cannot write it tries again, or does without.
  if ($code == 0) { until (eval { note('drained', ''); 1 }) { pause() } return }
  eval { note('lost', $code & 0x7f ? 'signal ' . ($code & 0x7f) : 'exit code ' . ($code >> 8)) };
  # It would wait for ever: what the daemon holds stays open.
  kill('KILL', $teller) if defined $teller;
  put("$gate/abort", '');
  if (sysopen(my $fifo, "$gate/word", O_WRONLY | O_NONBLOCK)) { syswrite($fifo, "abort\n") }
  # Named by the worker once the copy is held and before anybody may vote on it.
  until (-e "$gate/aborted") {
    my $cgroup = text("$dir/cgroup");
    last if $cgroup ne '' && is_dead($cgroup);
    pause();
  }
}

sub pause { select(undef, undef, undef, 0.002) }

sub is_dead {
  my ($cgroup) = @_;
  put("$cgroup/cgroup.kill", '1');
  return !-e $cgroup || text("$cgroup/cgroup.events") =~ /^populated 0$/m;
}
`;
