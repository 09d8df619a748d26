/** Names that travel between processes: what may stand in one, checked at every border. */
import { z } from 'zod';

/** A host's registered name. No `:` because it becomes part of a queue name (BullMQ refuses it there). */
export const HostName = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/, 'letters, digits, dot, dash and underscore');
export type HostName = z.infer<typeof HostName>;

/** A migration's id: chosen by the caller for idempotence, or made by the CLI. Becomes a directory name. */
export const MigrationId = z
  .string()
  .regex(/^[a-zA-Z][a-zA-Z0-9-]{0,62}$/, 'a letter, then letters, digits and dashes');
export type MigrationId = z.infer<typeof MigrationId>;

/** A container id as runc accepts it (libcontainer/factory_linux.go: `^[\w+\-\.]+$`, never `.` or `..`). */
export const ContainerId = z
  .string()
  .regex(/^[\w+.-]{1,128}$/, 'letters, digits, _ + - and .')
  .refine((id) => id !== '.' && id !== '..', 'not . or ..');
export type ContainerId = z.infer<typeof ContainerId>;

/** An absolute path without `..`, empty segments or control characters. Spaces are fine: nothing here passes a shell. */
export const AbsolutePath = z
  .string()
  .max(1024)
  .regex(/^\/(?!.*\/\/)[^\u0000-\u001f]*$/, 'an absolute path')
  .refine((path) => !path.split('/').includes('..'), 'no .. segments');
export type AbsolutePath = z.infer<typeof AbsolutePath>;

/** Grows with every attempt at a hand-over; a host refuses commands of an older one (lifecycle H4). */
export const Epoch = z.int().min(1);
export type Epoch = z.infer<typeof Epoch>;

export const Side = z.enum(['source', 'target']);
export type Side = z.infer<typeof Side>;

/** COMMIT or ABORT of one epoch: the write-once record that ends a hand-over (lifecycle H3). */
export const Decision = z.enum(['COMMIT', 'ABORT']);
export type Decision = z.infer<typeof Decision>;

/** An operator's word that one side is fenced: powered off or cut off, its copy never to run again (lifecycle H8). */
export const Resolution = z.object({
  fenced: Side,
  /** The other side has gone on without it: whatever lies there may be taken away. */
  over: z.boolean(),
});
export type Resolution = z.infer<typeof Resolution>;
