#include <stdint.h>
#include <stdlib.h>

// A `list<u64>` as the component model hands it over.
struct list {
    uint64_t *start;
    size_t length;
};

__attribute__((export_name("factorize"))) struct list *factorize(uint64_t n) {
    static struct list factors;
    factors.length = 0;
    factors.start = malloc(63 * sizeof(uint64_t)); // 2^63 has the most
    if (factors.start == NULL) abort();
    uint64_t divisor = 2;
    while (n > 1) {
        if (divisor > n / divisor) divisor = n; // what is left is prime
        while (n % divisor == 0) {
            factors.start[factors.length++] = divisor;
            n /= divisor;
        }
        divisor += divisor == 2 ? 1 : 2;
    }
    return &factors;
}

// Called when the result has been read.
__attribute__((export_name("cabi_post_factorize"))) void free_list(struct list *list) {
    free(list->start);
}

// Memory for the host: for lists and strings that it hands over, and, if the code prints or asks
// for the time, for the part that does so. Without this function that part takes memory behind
// the heap, which Debian's `malloc` takes for its own.
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(
    void *old, size_t old_size, size_t align, size_t new_size) {
    (void)old_size, (void)align; // at most 8, as `realloc` has it
    void *new = realloc(old, new_size);
    if (new == NULL) abort();
    return new;
}
