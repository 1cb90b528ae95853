/** All commands of the line tool that are no ioctls. */
import { PLAIN } from '../../report/model.ts';
import { helpLines } from '../help.ts';
import { type ToolCommand, told } from './command.ts';
import { DEVICE_COMMANDS } from './devices.ts';
import { FILE_COMMANDS } from './files.ts';
import { LOOKING_COMMANDS } from './looking.ts';
import { MEMORY_COMMANDS } from './memory.ts';
import { SESSION_COMMANDS } from './session.ts';

const help: ToolCommand = {
  name: 'help',
  group: 'session',
  usage: '[command | errno]',
  help: 'lists the commands; of an ioctl tells fields and errors; of an errno what gives it',
  run(session, args) {
    const word = args.word();
    args.end();
    const record = { help: helpLines(TOOL_COMMANDS, word, PLAIN) };
    return told(helpLines(TOOL_COMMANDS, word, session.palette), record);
  },
};

export const TOOL_COMMANDS: readonly ToolCommand[] = [
  ...FILE_COMMANDS,
  ...MEMORY_COMMANDS,
  ...DEVICE_COMMANDS,
  ...LOOKING_COMMANDS,
  ...SESSION_COMMANDS,
  help,
];

export function toolCommand(name: string): ToolCommand | null {
  return TOOL_COMMANDS.find((command) => command.name === name) ?? null;
}
