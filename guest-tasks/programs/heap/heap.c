/* Fills blocks of memory, prints, and counts the bytes that are no longer what was written. Prints
   how many arguments it has, its own name among them, and that count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 100

int main(int argc, char **argv) {
    static unsigned char *blocks[BLOCKS];
    size_t wrong = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = 1000 + 3000 * i;
        blocks[i] = malloc(size);
        if (blocks[i] == NULL) return 2;
        memset(blocks[i], (int)i, size);
        fprintf(stderr, "block %zu for %s\n", i, argv[0]);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t at = 0; at < 1000 + 3000 * i; at++) wrong += blocks[i][at] != i;
    printf("%d %zu\n", argc, wrong);
    return 0;
}
