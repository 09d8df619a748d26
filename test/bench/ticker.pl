# `ticker.pl MS PROGRAM…`: a tick each MS milliseconds beside a program in one container: what the container itself knows of the time in which it did not run.
#
# By CLOCK_REALTIME, which all lab hosts share: CRIU restores into a time namespace in which CLOCK_MONOTONIC leaves out most of a
# blackout (time_namespaces(7)). Only gaps are written, when they are over, so no file changes inside a blackout on its account.
use strict;
use warnings;

use constant { CLOCK_GETTIME => 228, CLOCK_REALTIME => 0, IDLE_TICKS => 2000, GAP_MS => 20 };

sub now {
    my $time = "\0" x 16;
    syscall(CLOCK_GETTIME, CLOCK_REALTIME, $time);
    my ($seconds, $nanoseconds) = unpack('qq', $time);
    return $seconds * 1e3 + $nanoseconds / 1e6;
}

sub append { my ($path, $line) = @_; open(my $file, '>>', $path) or die; syswrite($file, "$line\n") }

my $tick = shift @ARGV;
if (fork) { exec(@ARGV) or die }

my ($last, @idle) = (now());
while (1) {
    select(undef, undef, undef, $tick / 1e3);
    my $now = now();
    my $gap = $now - $last;
    if (@idle < IDLE_TICKS && push(@idle, $gap) == IDLE_TICKS) {
        append('/data/idle', (sort { $a <=> $b } @idle)[0.99 * IDLE_TICKS]);
    }
    append('/data/gaps', "$last $gap") if $gap >= GAP_MS;
    $last = $now;
}
