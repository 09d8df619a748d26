/** Labs in a table. */
import type { Paint } from './paint.ts';
import { table } from './table.ts';

interface LabRow {
  readonly name: string;
  readonly ready: boolean;
  readonly hosts: readonly { readonly name: string; readonly address: string }[];
}

export const labsText = (labs: readonly LabRow[], paint: Paint): string =>
  table(
    labs,
    [
      { title: 'LAB', cell: ({ name }) => name },
      { title: 'STATE', cell: ({ ready }) => (ready ? 'up' : 'half made') },
      {
        title: 'HOSTS',
        cell: ({ hosts }) => hosts.map(({ name, address }) => `${name} ${address}`).join(', '),
      },
    ],
    paint,
  );
