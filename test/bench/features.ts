/** What both hosts must be able to do for a way to be measured, as CRIU itself says. */
import { labExec, type Lab } from '@cmt/lab';
import { patient } from '../support/patience.ts';

/** Names that `criu check --feature` knows (criu/cr-check.c), and what lacks where one is missing. */
const FEATURES = {
  mem_dirty_track: 'the kernel does not track dirty pages',
  'uffd-noncoop': 'the kernel cannot fill memory behind a running container',
} as const;
export type Feature = keyof typeof FEATURES;

/** Null where every host has it, or what is missing. */
export async function whatLacks(lab: Lab, feature: Feature): Promise<string | null> {
  const argv = ['criu', 'check', '--feature', feature];
  for (const { name } of lab.hosts)
    if ((await labExec(lab, name, argv, { timeoutMs: patient(30_000) })).code !== 0)
      return `${name}: ${FEATURES[feature]}`;
  return null;
}
