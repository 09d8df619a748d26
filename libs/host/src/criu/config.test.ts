import { describe, expect, test } from 'vitest';
import { criuConfigText } from './config.ts';

describe("the text of CRIU's configuration file", () => {
  test('a dump: the network is cmt’s business, and open removed files are carried', () => {
    expect(criuConfigText({}).split('\n')).toEqual([
      'network-lock skip',
      'ghost-limit 512M',
      'timeout 5',
      '',
    ]);
  });

  test('a restore behind a gate whose path has a space', () => {
    expect(criuConfigText({ actionScript: '/run/a gate/gate.sh' })).toContain(
      'action-script "/run/a gate/gate.sh"\n',
    );
  });

  test('connections are closed only when asked', () => {
    expect(criuConfigText({ tcp: 'close' })).toContain('tcp-close\n');
    expect(criuConfigText({ tcp: 'established' }) + criuConfigText({ tcp: 'refuse' })).not.toContain('tcp');
  });

  test('a dump that serves its pages has a socket for them, and says when it does', () => {
    const text = criuConfigText({ serve: { pages: 5, status: 6 } });
    expect(text).toContain('ps-socket 5\nstatus-fd 6\n');
  });

  test('a container that cmt has not cut off is cut off by CRIU', () => {
    expect(criuConfigText({ fenced: false })).toContain('network-lock nftables\n');
  });

  test.each(['/a"b', '/a\\', '/a\nleave-stopped'])(
    'a path that would be read as something else is refused: %j',
    (path) => {
      expect(() => criuConfigText({ actionScript: path })).toThrow('cannot hold');
    },
  );
});
