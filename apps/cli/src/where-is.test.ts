import type { HostRecord, HostState } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { whereIs } from './where-is.ts';

const host = (name: string, state: HostState, ...containers: string[]) => {
  const record = { facts: { name }, endpoint: { address: name } } as HostRecord;
  return {
    ...{ name, state },
    record: { ...record, containers: containers.map((id) => ({ id, runtime: 'podman' })) } as HostRecord,
  };
};
const fleet = [
  host('a', 'online', 'db', 'twin', 'moved'),
  host('b', 'online', 'twin'),
  host('c', 'offline', 'moved', 'asleep'),
];
const codeOf = (container: string, src?: string): unknown => {
  try {
    return whereIs(fleet, container, src).host.name;
  } catch (error) {
    return (error as { failure: { code: string } }).failure.code;
  }
};

describe('where a container is', () => {
  it('is the host that announces it, with the runtime that it says', () => {
    expect(whereIs(fleet, 'db')).toMatchObject({ host: { name: 'a' }, runtime: 'podman' });
  });

  it.each([
    ['one of two that is not gone', 'moved', undefined, 'a'],
    ['one that is gone, where there is no other', 'asleep', undefined, 'c'],
    ['the one that was typed', 'twin', 'b', 'b'],
    ['not to be said where two have one', 'twin', undefined, 'CONTAINER_AMBIGUOUS'],
    ['nowhere', 'nobody', undefined, 'CONTAINER_UNKNOWN'],
    ['not on the host that was typed', 'db', 'b', 'CONTAINER_UNKNOWN'],
    ['on a host that nobody knows', 'db', 'z', 'HOST_UNKNOWN'],
  ])('is %s', (_, container, src, answer) => expect(codeOf(container, src)).toBe(answer));
});
