# Counts in a shared mapping of a file, and in its own memory: the two must always agree.
#
# A write through a mapping changes the file's time only when its page was clean, so a copier that goes by
# times misses the later ones; and CRIU leaves the contents of such a mapping to the file.
use strict;
use warnings;
use IO::Socket::UNIX;

use constant { SYS_READ => 0, SYS_WRITE => 1, SYS_MMAP => 9, READ_WRITE => 3, SHARED => 1 };

open(my $file, '+>', '/data/mapped') or die;
syswrite($file, "\0" x 4096);
my $address = syscall(SYS_MMAP, 0, 4096, READ_WRITE, SHARED, fileno($file), 0);
pipe(my $from, my $to) or die;

# Perl cannot write to an address, but read(2) can.
sub store { syswrite($to, $_[0]); syscall(SYS_READ, fileno($from), $address, length $_[0]) }
sub load { my $bytes; syscall(SYS_WRITE, fileno($to), $address, 16); sysread($from, $bytes, 16); $bytes }

my ($counter, $lost) = (0, 0);
store(sprintf('%016d', 0));
unlink '/run/ask.sock';
my $listener = IO::Socket::UNIX->new(Local => '/run/ask.sock', Listen => 8) or die;
while (1) {
    vec(my $ready = '', fileno($listener), 1) = 1;
    if (select($ready, undef, undef, 0.001)) {
        my $asker = $listener->accept;
        my $word = <$asker>;
        open(my $named, '<', '/data/mapped') or die;
        read($named, my $file_says, 16);
        printf $asker qq({"memory":%d,"mapped":%d,"file":%d,"lost":%d}\n), $counter, load(), $file_says, $lost;
        close($asker);
    }
    $lost++ if load() != $counter;
    store(sprintf('%016d', ++$counter));
}
