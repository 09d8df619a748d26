import { describe, expect, it } from 'vitest';
import { LookOut, message, type Looks, type Message } from './look-out.ts';

/** Looks that count, and fail while told to. */
class Counting implements Looks {
  looks = 0;
  fails = false;
  look(): Promise<Message[]> {
    if (this.fails) return Promise.reject(new Error('gone'));
    this.looks += 1;
    return Promise.resolve([message('change', this.looks)]);
  }
  whole = (): Message[] => [message('whole', this.looks)];
}

/** What a watcher is told, and a promise for the first of a kind. */
function watcher(lookOut: LookOut) {
  const heard: string[] = [];
  const waiting: (() => void)[] = [];
  const stop = lookOut.watch(({ event }) => {
    heard.push(event);
    waiting.forEach((look) => look());
  });
  const hears = (event: string, times = 1) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (heard.filter((each) => each === event).length >= times) resolve();
      };
      waiting.push(look);
      look();
    });
  return { heard, hears, stop };
}

describe('a look-out', () => {
  it('tells how things stand, then what changes; a second watcher costs no second look', async () => {
    const looks = new Counting();
    const lookOut = new LookOut(looks, 1);
    const first = watcher(lookOut);
    await first.hears('change');
    const second = watcher(lookOut);
    expect(second.heard).toEqual(['whole']);
    await second.hears('change');
    expect(first.heard[0]).toBe('whole');
    const tellings = first.heard.length;
    expect(looks.looks).toBe(tellings);
    first.stop();
    second.stop();
    expect(lookOut.watched).toBe(0);
  });

  it('says once that it cannot look, and says when it can again', async () => {
    const looks = new Counting();
    const watched = watcher(new LookOut(looks, 1));
    await watched.hears('change');
    looks.fails = true;
    await watched.hears('away');
    looks.fails = false;
    await watched.hears('back');
    await watched.hears('change', 2);
    expect(watched.heard.filter((event) => event === 'away')).toHaveLength(1);
    watched.stop();
  });
});
