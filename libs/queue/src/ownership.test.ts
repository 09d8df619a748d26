import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Fenced, LOCK_TIMING, Ownership, ShuttingDown } from './ownership.ts';

const timing = { lockMs: 1000, fenceMs: 800, renewMs: 200, stalledCheckMs: 500 };
const never = () => new Promise<number>(() => undefined);
const renewed = () => Promise.resolve(timing.lockMs);

describe('the right to work on a job', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('leaves half a second before anybody else may start', () => {
    expect(LOCK_TIMING.lockMs - LOCK_TIMING.fenceMs).toBeGreaterThanOrEqual(500);
    expect(LOCK_TIMING.renewMs * 3).toBeLessThan(LOCK_TIMING.fenceMs);
  });

  it('is refused when the lock is somebody else’s', async () => {
    await expect(Ownership.claim(() => Promise.resolve(0), timing)).rejects.toThrow(Fenced);
  });

  it('lasts as long as the lock is renewed', async () => {
    const ownership = await Ownership.claim(renewed, timing);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(() => ownership.assertOwned()).not.toThrow();
    ownership.end();
  });

  it('of a lock that was not renewed when it was claimed ends with what that lock had left', async () => {
    const renew = vi.fn(never);
    const ownership = await Ownership.claim(renew, timing, () => Promise.resolve(950));
    await vi.advanceTimersByTimeAsync(749);
    expect(renew).toHaveBeenCalled();
    expect(ownership.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(ownership.signal.reason).toBeInstanceOf(Fenced);
    ownership.end();
  });

  it('ends when Redis stays silent, counted from the last renewal that was answered', async () => {
    const answers = [renewed, renewed];
    const ownership = await Ownership.claim(() => (answers.shift() ?? never)(), timing);
    await vi.advanceTimersByTimeAsync(999);
    expect(ownership.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(ownership.signal.reason).toBeInstanceOf(Fenced);
    ownership.end();
  });

  it('counts a slow answer from when it was asked for', async () => {
    let slow = 0;
    const renew = () => new Promise<number>((resolve) => setTimeout(() => resolve(timing.lockMs), slow));
    const claimed = Ownership.claim(renew, timing);
    await vi.advanceTimersByTimeAsync(0);
    const ownership = await claimed;
    slow = 700; // asked for at 200, answered at 900: after the 800 at which the first one ends
    await vi.advanceTimersByTimeAsync(800);
    expect(ownership.signal.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(5000);
    expect(() => ownership.assertOwned()).toThrow(Fenced);
    ownership.end();
  });

  it('ends at once when the lock has become somebody else’s', async () => {
    const answers = [timing.lockMs, 0];
    const ownership = await Ownership.claim(() => Promise.resolve(answers.shift() ?? timing.lockMs), timing);
    await vi.advanceTimersByTimeAsync(200);
    expect(ownership.signal.reason).toBeInstanceOf(Fenced);
    ownership.end();
  });

  it('is known to be over before any timer has fired', async () => {
    const ownership = await Ownership.claim(renewed, timing);
    vi.setSystemTime(Date.now()); // timers stand still, the clock does not: as after SIGSTOP
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 801);
    expect(() => ownership.assertOwned()).toThrow(Fenced);
    clock.mockRestore();
    ownership.end();
  });

  it('keeps the lock while it winds up after a shutdown', async () => {
    const renew = vi.fn(renewed);
    const ownership = await Ownership.claim(renew, timing);
    ownership.abort(new ShuttingDown());
    await vi.advanceTimersByTimeAsync(2000);
    expect(renew.mock.calls.length).toBeGreaterThan(5);
    ownership.end();
    const calls = renew.mock.calls.length;
    await vi.advanceTimersByTimeAsync(2000);
    expect(renew.mock.calls.length).toBe(calls);
  });
});
