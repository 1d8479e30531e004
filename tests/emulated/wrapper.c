/* Stands for a rinit of another machine: `TEST_RINIT=wrapper cargo test`. No shell, which would change what is inherited.
   cc -static -DEMULATOR='"/usr/bin/qemu-ppc64-static"' -DRINIT='"/path/of/rinit"' -o wrapper wrapper.c */
#include <stddef.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char *emulated[argc + 4];
    size_t count = 0;
    emulated[count++] = EMULATOR;
    emulated[count++] = "-0"; /* A link's name counts. */
    emulated[count++] = argv[0];
    emulated[count++] = RINIT;
    for (int at = 1; at <= argc; at++)
        emulated[count++] = argv[at];
    execv(EMULATOR, emulated);
    return 125;
}
