/** Plain text tables: numbers to the right, words to the left, columns as wide as needed. */

export interface TableColumn {
  readonly title: string;
  readonly align: 'left' | 'right';
}

export function renderTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
): string {
  const widths = columns.map((column, i) =>
    Math.max(column.title.length, ...rows.map((row) => row[i].length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) =>
        columns[i].align === 'left' ? cell.padEnd(widths[i]) : cell.padStart(widths[i]),
      )
      .join('  ')
      .trimEnd();
  return [columns.map((column) => column.title), ...rows].map(line).join('\n');
}
