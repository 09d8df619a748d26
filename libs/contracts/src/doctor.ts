/** What a look at a fleet finds: one line each, with what to do about it. */
import { z } from 'zod';
import { HostName } from './names.ts';

/** `problem`: migrations will fail or a promise is not kept; `warning`: it may; `note`: worth knowing; `ok`: looked at, and well. */
export const DiagnosisLevel = z.enum(['ok', 'note', 'warning', 'problem']);
export type DiagnosisLevel = z.infer<typeof DiagnosisLevel>;

export const Diagnosis = z.object({
  level: DiagnosisLevel,
  area: z.enum(['redis', 'coordinator', 'worker', 'machine', 'criu', 'runtime', 'clock', 'pair', 'version']),
  /** A host, two (`host1 -> host2`), or `redis`. */
  about: z.string(),
  message: z.string(),
  /** Empty where all is well. */
  remedy: z.string(),
});
export type Diagnosis = z.infer<typeof Diagnosis>;

/** Hosts that one host tries to reach, and hosts that one order asks, at most. */
export const DOCTOR_PEERS = 16;
export const DOCTOR_HOSTS = 64;

/** Asks workers to look at their machines, and at the way to each other. */
export const DoctorOrder = z.object({
  v: z.literal(1),
  kind: z.literal('doctor'),
  hosts: z.array(HostName).min(1).max(DOCTOR_HOSTS),
  nonce: z.string().regex(/^[a-z0-9]{8,40}$/),
  issuedAt: z.int(),
});
export type DoctorOrder = z.infer<typeof DoctorOrder>;

export const DoctorAnswer = z.object({ diagnoses: z.array(Diagnosis) });
export type DoctorAnswer = z.infer<typeof DoctorAnswer>;

/** All is well with it. */
export const fine = (area: Diagnosis['area'], about: string, message: string): Diagnosis => ({
  ...{ level: 'ok', area, about, message, remedy: '' },
});
