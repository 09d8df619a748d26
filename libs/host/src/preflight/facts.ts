/** What this host offers: tools, kernel, memory, space. Gathered afresh for every migration. */
import os from 'node:os';
import type { HostFacts, RuntimeName, WorkerConfig } from '@cmt/contracts';
import { readCosts } from '../costs.ts';
import { criuProblem, criuVersion } from '../criu/check.ts';
import { criuFeatures } from '../criu/features.ts';
import { thisMachine } from '../this-machine.ts';
import type { Runtimes } from '../runtimes/runtime.ts';
import { cpuOf } from './cpu.ts';
import { spillRoot } from '../places.ts';
import { room } from './disk.ts';
import { hostMemory } from './memory.ts';

export async function gatherFacts(
  config: Pick<WorkerConfig, 'name' | 'imagesDir'> & Partial<Pick<WorkerConfig, 'stateDir'>>,
  runtimes: Runtimes,
  signal: AbortSignal,
): Promise<HostFacts> {
  const [criu, versions, memory, images, disk, spill, cpu, costs] = await Promise.all([
    criuFacts(signal),
    runtimeVersions(runtimes, signal),
    hostMemory(),
    room(config.imagesDir),
    room('/'),
    config.stateDir === undefined ? null : room(spillRoot({ stateDir: config.stateDir })),
    cpuOf(),
    config.stateDir === undefined ? null : readCosts(config.stateDir, thisMachine.files),
  ]);
  return {
    name: config.name,
    kernel: os.release(),
    arch: os.arch(),
    ...criu,
    features: { ...criu.features, zstd: true },
    runtimes: versions,
    cpus: os.availableParallelism(),
    ...(cpu === null ? {} : { cpu }),
    memoryTotal: memory.total,
    memoryAvailable: memory.available,
    imagesFree: images.free,
    ...(spill === null || spill.inMemory ? {} : { spillFree: spill.free }),
    diskFree: disk.free,
    ...(costs === null ? {} : { costs }),
  };
}

async function criuFacts(signal: AbortSignal): Promise<Pick<HostFacts, 'criu' | 'criuProblem' | 'features'>> {
  const criu = await criuVersion(signal);
  if (criu === null) return { criu, criuProblem: null, features: { dirtyTracking: false, lazyPages: false } };
  const [problem, features] = await Promise.all([criuProblem(signal), criuFeatures(signal)]);
  return { criu, criuProblem: problem, features };
}

async function runtimeVersions(runtimes: Runtimes, signal: AbortSignal): Promise<HostFacts['runtimes']> {
  const found = await Promise.all(
    runtimes.all().map(async (runtime) => [runtime.name, await runtime.version(signal)] as const),
  );
  const installed = found.filter((entry): entry is readonly [RuntimeName, string] => entry[1] !== null);
  return Object.fromEntries(installed);
}
